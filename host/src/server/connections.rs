//! The table of the open connections of a server, and the choice of the connection that makes room for another.
//!
//! If each client could keep its connections, some thousand idle ones would exclude everybody else. If each new
//! connection replaced the oldest one, a client that connects often would end the requests of others. Therefore, a new
//! connection replaces one that nobody waits for: one without a request or whose answers the client does not take, or one
//! whose request has not arrived completely. Among those, the address with the most connections loses its oldest one.
//! Behind a proxy, all connections have the same address, and the oldest one is replaced.
//!
//! Each of these two kinds is protected from the other one. Connections without a request are replaced first, so that many
//! of them do not interrupt bodies that arrive. They are not replaced any more when they are few, so that many bodies that
//! do not arrive exclude no new connection, which has no request at first: its TLS handshake and its headers take time.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Of the connections that may be replaced, the share without a request that is not replaced: one of so many. The number of
/// these connections, divided by the rate of new ones, is the time that a client has for its first request.
const KEPT_IDLE: usize = 4;

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
    /// The number of connections in the sets `idle` of all groups.
    idle: usize,
    /// The number of connections in the sets `receiving` of all groups.
    receiving: usize,
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

/// What the server waits for on a connection that may be replaced.
#[derive(Debug, Clone, Copy)]
enum Awaited {
    /// A request, or that the client takes its answers.
    Request,
    /// The bodies of requests.
    Body,
}

impl Entry {
    /// Returns what the server waits for. `None` if a request is being answered, which is not interrupted.
    fn awaited(&self) -> Option<Awaited> {
        match self.open - self.unsent.len() {
            0 => Some(Awaited::Request),
            unanswered if unanswered == self.incomplete => Some(Awaited::Body),
            _ => None,
        }
    }
}

impl Table {
    fn insert(&mut self, id: u64, entry: Entry) {
        let group = self.groups.entry(entry.group).or_default();
        group.size += 1;
        let place = (entry.rank, id);
        match entry.awaited() {
            Some(Awaited::Request) => self.idle += usize::from(group.idle.insert(place)),
            Some(Awaited::Body) => self.receiving += usize::from(group.receiving.insert(place)),
            None => {}
        }
        self.entries.insert(id, entry);
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        if let Some(group) = self.groups.get_mut(&entry.group) {
            let place = (entry.rank, id);
            match entry.awaited() {
                Some(Awaited::Request) => self.idle -= usize::from(group.idle.remove(&place)),
                Some(Awaited::Body) => {
                    self.receiving -= usize::from(group.receiving.remove(&place));
                }
                None => {}
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
        let set: fn(&Group) -> &BTreeSet<(u64, u64)> = match self.more_dispensable()? {
            Awaited::Request => |group| &group.idle,
            Awaited::Body => |group| &group.receiving,
        };
        let oldest = self.groups.values().filter_map(|group| {
            let (rank, id) = set(group).first()?;
            Some((Reverse(group.size), *rank, *id))
        });
        oldest.min().map(|(.., id)| id)
    }

    /// Returns what the server waits for on the connections of which one is replaced.
    fn more_dispensable(&self) -> Option<Awaited> {
        let kept = (self.idle + self.receiving) / KEPT_IDLE;
        match (self.idle, self.receiving) {
            (0, 0) => None,
            (idle, receiving) if idle > kept || receiving == 0 => Some(Awaited::Request),
            _ => Some(Awaited::Body),
        }
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
mod tests;
