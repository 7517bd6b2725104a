//! The memory for bodies of similar sizes, and the bodies that have not arrived completely.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Lost;
use crate::server;

/// The pace of a sender in bytes per second. A body of 25 MiB at this pace would take more than a minute.
const PACE: u32 = 256 << 10;
/// The least memory of a body in bytes. It limits the number of bodies that hold memory.
const MIN_BYTES: usize = 4 << 10;
/// How long an ended body counts for its sender.
const ENDED_TIME: Duration = Duration::from_secs(10);

pub(super) struct Pool {
    free: usize,
    used: Gauge,
    /// How far a sender may be behind its pace.
    grace: Duration,
    /// The maximum number of bodies that wait.
    max_waiting: usize,
    /// The number of bodies so far, which is the number of the next one.
    count: u64,
    bodies: BTreeMap<u64, Body>,
    /// The senders of the last bodies that were late and made room for others, and when these ended. They are at most as
    /// many as may wait.
    ended: VecDeque<(Instant, Client)>,
}

/// The address of a sender, or the network of it.
type Client = Option<IpAddr>;

/// A body that has not arrived completely.
struct Body {
    client: Client,
    bytes: usize,
    /// The time until which the sender keeps the pace if nothing more arrives, or `None` if the body waits for memory.
    due: Option<Instant>,
    /// Whether nothing had arrived when this time was over. Bytes that Stoker has not read yet do not make a body late,
    /// unless they wait for the memory of another pool.
    is_late: bool,
    wake: Arc<Notify>,
}

impl Pool {
    pub(super) fn new(bytes: usize, grace: Duration, max_waiting: usize, used: Gauge) -> Self {
        Self {
            free: bytes,
            used,
            grace,
            max_waiting,
            count: 0,
            bodies: BTreeMap::new(),
            ended: VecDeque::new(),
        }
    }

    /// Adds a body that needs this many bytes, and returns its number. It waits if they are not free.
    pub(super) fn add(&mut self, source: Option<IpAddr>, bytes: usize, wake: Arc<Notify>) -> u64 {
        let body = Body {
            client: source.map(server::group),
            bytes: bytes.max(MIN_BYTES),
            due: None,
            is_late: false,
            wake,
        };
        let id = self.count;
        self.count += 1;
        self.bodies.insert(id, body);
        self.serve();
        id
    }

    pub(super) fn is_waiting(&self, id: u64) -> Result<bool, Lost> {
        let body = self.bodies.get(&id).ok_or(Lost)?;
        Ok(body.due.is_none())
    }

    /// Notes that this many more bytes of a body have arrived.
    pub(super) fn arrived(&mut self, id: u64, bytes: usize) {
        if let Some(body) = self.bodies.get_mut(&id) {
            let earned = Duration::from_secs(bytes as u64) / PACE;
            let latest = Instant::now() + self.grace;
            body.due = body.due.map(|due| (due + earned).min(latest));
            body.is_late = false;
        }
    }

    /// Notes that a body has arrived completely, with this many bytes. Returns how much memory it keeps.
    pub(super) fn complete(&mut self, id: u64, bytes: usize) -> Result<usize, Lost> {
        let body = self.bodies.remove(&id).ok_or(Lost)?;
        let kept = bytes.max(MIN_BYTES).min(body.bytes);
        self.release(body.bytes - kept);
        Ok(kept)
    }

    /// Returns memory of a body that has arrived.
    pub(super) fn release(&mut self, bytes: usize) {
        if bytes > 0 {
            self.give_back(bytes);
            self.serve();
        }
    }

    /// Ends a body that has not arrived completely, if it was not ended for another one.
    pub(super) fn end(&mut self, id: u64) {
        if self.remove(id) {
            self.serve();
        }
    }

    /// Returns until when the sender of a body of which nothing more has arrived keeps the pace, or `None` if it does not.
    /// If it does not, and another body waits for the memory, the body is ended.
    pub(super) fn keep(&mut self, id: u64) -> Result<Option<Instant>, Lost> {
        let body = self.bodies.get_mut(&id).ok_or(Lost)?;
        if body.due.is_some_and(|due| Instant::now() < due) {
            return Ok(body.due);
        }
        body.is_late = true;
        self.serve();
        self.bodies.get(&id).map(|_| None).ok_or(Lost)
    }

    /// Gives the bodies that wait what they need, one after the other. If the memory for the first one is not free, those
    /// behind it wait too, because otherwise a large body could wait for many smaller ones in turn.
    fn serve(&mut self) {
        let mut waiting = self.waiting();
        if waiting.is_empty() {
            return;
        }
        for id in waiting.split_off(waiting.len().min(self.max_waiting)) {
            self.remove(id);
        }
        let mut late = self.late().into_iter();
        let mut endable: usize = late.as_slice().iter().map(|(_, bytes)| bytes).sum();
        for id in waiting {
            let bytes = self.bodies.get(&id).map_or(0, |body| body.bytes);
            if self.free + endable < bytes {
                break;
            }
            while self.free < bytes
                && let Some((id, held)) = late.next()
            {
                endable -= held;
                self.end_late(id);
            }
            self.grant(id);
        }
    }

    /// Ends a late body for another one.
    fn end_late(&mut self, id: u64) {
        if self.ended.len() >= self.max_waiting {
            self.ended.pop_front();
        }
        let ended = self
            .bodies
            .get(&id)
            .map(|body| (Instant::now(), body.client));
        self.ended.extend(ended);
        self.remove(id);
    }

    /// Gives a body the memory that it waits for.
    fn grant(&mut self, id: u64) {
        if let Some(body) = self.bodies.get_mut(&id) {
            self.free -= body.bytes;
            self.used.inc_by(signed(body.bytes));
            body.due = Some(Instant::now() + self.grace);
            body.wake.notify_one();
        }
    }

    /// Returns the bodies that wait, in order. One of the client with the fewest bodies is first. A body that was late
    /// still counts for a while, so that a client without such bodies is before many that have one each.
    fn waiting(&self) -> Vec<u64> {
        let waiting = self.bodies.iter().filter(|(_, body)| body.due.is_none());
        let mut waiting: Vec<_> = waiting.map(|(id, body)| (0, *id, body.client)).collect();
        if waiting.len() > 1 {
            let clients = self.bodies.values().map(|body| body.client);
            let now = Instant::now();
            let ended = self.ended.iter().filter(|(at, _)| now - *at < ENDED_TIME);
            let mut counts = HashMap::<Client, usize>::new();
            for client in clients.chain(ended.map(|(_, client)| *client)) {
                *counts.entry(client).or_default() += 1;
            }
            for (count, _, client) in &mut waiting {
                *count = counts.get(client).copied().unwrap_or_default();
            }
            waiting.sort_unstable();
        }
        waiting.into_iter().map(|(_, id, _)| id).collect()
    }

    /// Returns the bodies whose senders do not keep the pace, and what they hold. One that is late for longest is first.
    fn late(&self) -> Vec<(u64, usize)> {
        let late = self.bodies.iter().filter(|(_, body)| body.is_late);
        let mut late: Vec<_> = late.collect();
        late.sort_by_key(|(_, body)| body.due);
        late.iter().map(|(id, body)| (**id, body.bytes)).collect()
    }

    /// Removes a body, and returns whether it was there. Unless it has arrived, it is ended.
    fn remove(&mut self, id: u64) -> bool {
        let Some(body) = self.bodies.remove(&id) else {
            return false;
        };
        if body.due.is_some() {
            self.give_back(body.bytes);
        }
        body.wake.notify_one();
        true
    }

    fn give_back(&mut self, bytes: usize) {
        self.free += bytes;
        self.used.dec_by(signed(bytes));
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
