//! The table of the open connections of a server, and the choice of the connection that makes room for another.
//!
//! If each client could keep its connections, some thousand idle ones would exclude everybody else. If each new
//! connection replaced the oldest one, a client that connects often would end the requests of others. Therefore, a new
//! connection replaces one that nobody waits for: first one without a request or whose answers the client does not take,
//! then one whose request has not arrived completely. Among those, the address with the most connections loses its oldest
//! one. Behind a proxy, all connections have the same address, and the oldest one is replaced.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The open connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    limit: usize,
    table: Mutex<Table>,
    /// A connection ended, or a request of it.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    /// The number of connections and of changes so far.
    count: u64,
    entries: HashMap<u64, Entry>,
    groups: HashMap<IpAddr, Group>,
}

#[derive(Debug)]
pub(super) struct Entry {
    group: IpAddr,
    /// The number of requests whose answers are not sent.
    pub(super) open: usize,
    /// The number of them whose bodies have not arrived.
    pub(super) incomplete: usize,
    /// Since when the answers of the others are ready that the client has not taken.
    pub(super) unsent: Vec<Instant>,
    /// Whether a request has arrived.
    pub(super) is_used: bool,
    /// The time since which the connection is in its present state.
    since: Instant,
    /// The position of this time among all changes of connections.
    rank: u64,
    replaced: CancellationToken,
}

/// The connections of one client.
#[derive(Debug, Default)]
struct Group {
    size: usize,
    /// The ranks and numbers of the connections without a request, or with only a part of the headers of one, and of those
    /// that have only answers to send.
    idle: BTreeSet<(u64, u64)>,
    /// Those of the other connections without a request that is being answered: bodies have not arrived.
    receiving: BTreeSet<(u64, u64)>,
}

impl Group {
    /// Returns the connections with the same use as this one, if it may be replaced. A request that is being answered is
    /// not interrupted.
    fn replaceable(&mut self, entry: &Entry) -> Option<&mut BTreeSet<(u64, u64)>> {
        match entry.open - entry.unsent.len() {
            0 => Some(&mut self.idle),
            unanswered if unanswered == entry.incomplete => Some(&mut self.receiving),
            _ => None,
        }
    }
}

impl Table {
    fn insert(&mut self, id: u64, entry: Entry) {
        let group = self.groups.entry(entry.group).or_default();
        group.size += 1;
        if let Some(same) = group.replaceable(&entry) {
            same.insert((entry.rank, id));
        }
        self.entries.insert(id, entry);
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        if let Some(group) = self.groups.get_mut(&entry.group) {
            if let Some(same) = group.replaceable(&entry) {
                same.remove(&(entry.rank, id));
            }
            group.size -= 1;
            if group.size == 0 {
                self.groups.remove(&entry.group);
            }
        }
        Some(entry)
    }

    /// Returns the connection that makes room for another one.
    fn dispensable(&self) -> Option<u64> {
        let oldest = |of: fn(&Group) -> &BTreeSet<(u64, u64)>| {
            let oldest = self.groups.values().filter_map(|group| {
                let (rank, id) = of(group).first()?;
                Some((Reverse(group.size), *rank, *id))
            });
            oldest.min().map(|(.., id)| id)
        };
        oldest(|group| &group.idle).or_else(|| oldest(|group| &group.receiving))
    }

    /// Returns a number that is higher than any before.
    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

/// Returns the addresses that count as one client: an IPv4 address, or the /64 of an IPv6 address, because one client
/// usually has the whole /64.
pub(crate) fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) >> 64 << 64;
            IpAddr::V6(prefix.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// An open connection. Dropping it makes room for another one.
#[derive(Debug)]
pub(super) struct OpenConnection {
    connections: Arc<Connections>,
    id: u64,
    /// Cancelled when another connection replaces it.
    pub(super) replaced: CancellationToken,
}

/// What a connection waits for: all of it comes from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    FirstRequest,
    NextRequest,
    /// The client has to take the answers that are ready.
    Answers,
}

/// A new connection, and whether an older connection was replaced.
pub(super) struct Admitted {
    pub(super) connection: OpenConnection,
    pub(super) has_replaced: bool,
}

impl Connections {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            table: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Adds a new connection. Waits while every other connection is being served.
    pub(super) async fn admit(self: &Arc<Self>, address: IpAddr) -> Admitted {
        loop {
            if let Some(admitted) = self.try_admit(address) {
                return admitted;
            }
            self.changed.notified().await;
        }
    }

    /// Gives a new connection a place, unless every other connection is being served.
    pub(super) fn try_admit(self: &Arc<Self>, address: IpAddr) -> Option<Admitted> {
        let mut table = self.table();
        let has_replaced = table.entries.len() >= self.limit;
        if has_replaced {
            let dispensable = table.dispensable()?;
            table.remove(dispensable)?.replaced.cancel();
        }
        let id = table.next();
        let replaced = CancellationToken::new();
        let entry = Entry {
            group: group(address),
            open: 0,
            incomplete: 0,
            unsent: Vec::new(),
            is_used: false,
            since: Instant::now(),
            rank: id,
            replaced: replaced.clone(),
        };
        table.insert(id, entry);
        let connection = OpenConnection {
            connections: Arc::clone(self),
            id,
            replaced,
        };
        Some(Admitted {
            connection,
            has_replaced,
        })
    }

    /// Returns the number of open connections.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.table().entries.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnection {
    /// Returns what the connection waits for, and since when. `None` if it has a request without an answer.
    pub(super) fn pause(&self) -> Option<(Instant, Pause)> {
        let table = self.connections.table();
        let entry = table.entries.get(&self.id)?;
        if entry.open > entry.unsent.len() {
            return None;
        }
        let unsent = entry.unsent.iter().min();
        Some(match (unsent, entry.is_used) {
            (Some(since), _) => (*since, Pause::Answers),
            (None, true) => (entry.since, Pause::NextRequest),
            (None, false) => (entry.since, Pause::FirstRequest),
        })
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Entry)) {
        let mut table = self.connections.table();
        if let Some(mut entry) = table.remove(self.id) {
            change(&mut entry);
            entry.since = Instant::now();
            entry.rank = table.next();
            table.insert(self.id, entry);
        }
        drop(table);
        self.connections.changed.notify_one();
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        drop(self.connections.table().remove(self.id));
        self.connections.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::super::open_request::OpenRequest;
    use super::*;

    const A: &str = "192.0.2.1";
    const B: &str = "192.0.2.2";

    fn connect(connections: &Arc<Connections>, address: &str) -> Arc<OpenConnection> {
        let admitted = connections.admit(address.parse().unwrap());
        Arc::new(admitted.now_or_never().unwrap().connection)
    }

    #[tokio::test]
    async fn the_oldest_idle_connection_is_replaced() {
        let connections = Connections::new(3);
        let opened = [A, A, A].map(|address| connect(&connections, address));
        // The first connection was used after the others were opened.
        drop(OpenRequest::begin(&opened[0]));
        let new = connect(&connections, A);
        let replaced = opened
            .each_ref()
            .map(|connection| connection.replaced.is_cancelled());
        assert_eq!(replaced, [false, true, false]);
        assert!(!new.replaced.is_cancelled());
        assert_eq!(connections.len(), 3);
    }

    #[tokio::test]
    async fn the_address_with_the_most_connections_loses_one() {
        let connections = Connections::new(3);
        let opened = [B, A, A].map(|address| connect(&connections, address));
        let new = connect(&connections, B);
        let replaced = opened
            .each_ref()
            .map(|connection| connection.replaced.is_cancelled());
        assert_eq!(replaced, [false, true, false]);
        drop(new);
    }

    #[tokio::test]
    async fn a_request_that_is_being_answered_is_not_interrupted() {
        let connections = Connections::new(2);
        let opened = [A, A].map(|address| connect(&connections, address));
        let requests = opened.each_ref().map(OpenRequest::begin);
        drop(requests[0].body());
        // The body of the second request has not arrived.
        let third = connect(&connections, B);
        assert!(!opened[0].replaced.is_cancelled() && opened[1].replaced.is_cancelled());
        let request = OpenRequest::begin(&third);
        drop(request.body());
        assert!(
            connections
                .admit(A.parse().unwrap())
                .now_or_never()
                .is_none()
        );
        drop(request);
        connect(&connections, A);
        assert!(third.replaced.is_cancelled() && !opened[0].replaced.is_cancelled());
    }

    #[tokio::test]
    async fn a_connection_whose_answers_are_not_taken_is_replaced() {
        let connections = Connections::new(2);
        let opened = [A, A].map(|address| connect(&connections, address));
        // The first connection has an answer to send, and a request that is being answered.
        let requests = [0, 0, 1].map(|index| OpenRequest::begin(&opened[index]));
        for request in &requests {
            drop(request.body());
        }
        requests[0].answered();
        assert!(connections.try_admit(B.parse().unwrap()).is_none());
        requests[2].answered();
        let third = connect(&connections, B);
        assert!(!opened[0].replaced.is_cancelled() && opened[1].replaced.is_cancelled());
        requests[1].answered();
        // Later than the answers of the first connection.
        drop(OpenRequest::begin(&third));
        connect(&connections, B);
        assert!(opened[0].replaced.is_cancelled() && !third.replaced.is_cancelled());
        drop(requests);
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_after_its_answer_is_not_expected() {
        let connections = Connections::new(1);
        let connection = connect(&connections, A);
        let request = OpenRequest::begin(&connection);
        let body = request.body();
        request.answered();
        assert_eq!(connection.pause().unwrap().1, Pause::Answers);
        drop(request);
        assert_eq!(connection.pause().unwrap().1, Pause::NextRequest);
        drop(body);
        assert_eq!(connection.pause().unwrap().1, Pause::NextRequest);
    }

    #[tokio::test]
    async fn an_idle_connection_is_replaced_before_one_that_receives() {
        let connections = Connections::new(2);
        let opened = [A, B].map(|address| connect(&connections, address));
        let _request = OpenRequest::begin(&opened[0]);
        connect(&connections, A);
        assert!(!opened[0].replaced.is_cancelled() && opened[1].replaced.is_cancelled());
    }

    #[tokio::test]
    async fn a_replaced_connection_does_not_remove_the_new_one() {
        let connections = Connections::new(1);
        let first = connect(&connections, A);
        let second = connect(&connections, A);
        let request = OpenRequest::begin(&first);
        drop((request, first));
        assert_eq!(connections.len(), 1);
        drop(second);
        assert_eq!(connections.len(), 0);
        assert!(connections.table().groups.is_empty());
    }

    #[test]
    fn one_client_has_a_whole_64() {
        let group = |text: &str| group(text.parse().unwrap()).to_string();
        assert_eq!(group("2001:db8::1:2:3:4"), "2001:db8::");
        assert_eq!(group("::ffff:192.0.2.1"), A);
        assert_eq!(group(A), A);
    }
}
