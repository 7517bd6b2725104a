//! A limit of the memory that all bodies take together.
//!
//! A body takes its share as it grows, because an announced length may be a lie. The memory has three parts. Small bodies
//! have a part of their own, so that they never wait for large ones. Large bodies share another part. If they only took
//! from it, some could wait for each other with none of them complete. Therefore, a part for one body of the largest size
//! is kept apart, and one body at a time moves to it when the others have taken theirs.
//!
//! A body that needs memory may end another one that has not arrived completely:
//!
//! - A sender that does not keep the pace would hold its share for nothing. While others need memory, its body ends.
//! - A small body arrives at once, so that one that is still incomplete makes room for the next one.
//! - A large body that waits for memory makes room for one of an address that has fewer bodies.
//!
//! Among those, the address with the most incomplete bodies loses its oldest one. A large body whose sender keeps the
//! pace is never ended, and the clock of its sender stops while it waits for memory.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::server;

/// A part of the memory is taken in steps of this size in bytes.
const STEP: usize = 64 << 10;
/// The size of the steps of a small body in bytes. Most webhooks have some KiB.
const SMALL_STEP: usize = 4 << 10;
/// The maximum size of a small body in bytes.
const SMALL_BYTES: usize = 64 << 10;
/// The least memory beside that of one body of the largest size, in bytes.
const MIN_SHARED_BYTES: usize = 1 << 20;
/// The pace of a sender in bytes per second. A body of 25 MiB at this pace would take more than a minute.
const PACE: u32 = 256 << 10;
/// How far a sender may be behind its pace. A lost packet is sent again within this time.
const GRACE: Duration = Duration::from_secs(1);

/// The memory for bodies.
#[derive(Clone)]
pub(super) struct Budget {
    table: Arc<Mutex<Table>>,
    used: Gauge,
}

/// The share of one body. Dropping it returns the share.
pub(super) struct Share {
    budget: Budget,
    id: u64,
    /// Woken when the memory that the body waits for is there, and when the share was taken away.
    wake: Arc<Notify>,
    bytes: usize,
}

/// The share was taken away for another body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost;

struct Table {
    /// The sizes of the parts for small and for large bodies in bytes.
    limits: [usize; 2],
    /// What is taken of each part in bytes.
    used: [usize; 3],
    /// The number of bodies so far, which is the number of the next one.
    count: u64,
    bodies: BTreeMap<u64, Entry>,
}

/// A part of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Small,
    Large,
    /// The part for one body of the largest size.
    Largest,
}

struct Entry {
    group: Option<IpAddr>,
    part: Part,
    /// What the body has taken of its part.
    bytes: usize,
    /// The size of the share that the body waits for, and since when.
    needed: Option<(usize, Instant)>,
    /// The number of bytes that arrived.
    arrived: usize,
    is_complete: bool,
    /// The time until which the sender keeps the pace if nothing more arrives.
    due: Instant,
    wake: Arc<Notify>,
}

impl Budget {
    /// Returns a budget of this many bytes, of which `largest`, the maximum size of a body, are for one body.
    pub(super) fn new(bytes: usize, largest: usize, used: Gauge) -> Self {
        let shared = bytes.saturating_sub(largest).max(MIN_SHARED_BYTES);
        let table = Table {
            limits: [shared / 2, shared - shared / 2],
            used: [0; 3],
            count: 0,
            bodies: BTreeMap::new(),
        };
        Self {
            table: Arc::new(Mutex::new(table)),
            used,
        }
    }

    /// Returns the share of a body of this source that has no bytes yet. A body whose announced length is that of a large
    /// one takes nothing from the part for small ones.
    pub(super) fn share(&self, source: Option<IpAddr>, announced: Option<usize>) -> Share {
        let wake = Arc::new(Notify::new());
        let is_large = announced.is_some_and(|bytes| bytes > SMALL_BYTES);
        let entry = Entry {
            group: source.map(server::group),
            part: if is_large { Part::Large } else { Part::Small },
            bytes: 0,
            needed: None,
            arrived: 0,
            is_complete: false,
            due: Instant::now() + GRACE,
            wake: Arc::clone(&wake),
        };
        let mut table = self.table();
        let id = table.count;
        table.count += 1;
        table.bodies.insert(id, entry);
        drop(table);
        Share {
            budget: self.clone(),
            id,
            wake,
            bytes: 0,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Notes how many bytes have arrived, and increases the share to at least as many. Waits until they are available.
    pub(super) async fn grow(&mut self, arrived: usize) -> Result<(), Lost> {
        let step = if arrived <= SMALL_BYTES {
            SMALL_STEP
        } else {
            STEP
        };
        let bytes = arrived.next_multiple_of(step).max(self.bytes);
        self.budget.table().arrive(self.id, arrived, bytes);
        while self.is_waiting()? {
            self.wake.notified().await;
        }
        self.budget.used.inc_by(signed(bytes - self.bytes));
        self.bytes = bytes;
        Ok(())
    }

    /// Notes that the body has arrived completely. Its share is not taken away any more.
    pub(super) fn complete(&mut self) -> Result<(), Lost> {
        let mut table = self.budget.table();
        let entry = table.bodies.get_mut(&self.id).ok_or(Lost)?;
        entry.is_complete = true;
        Ok(())
    }

    /// Waits until the share was taken away.
    pub(super) async fn lost(&self) -> Lost {
        loop {
            let due = self.budget.table().keep(self.id);
            match due {
                Err(Lost) => return Lost,
                Ok(None) => self.wake.notified().await,
                Ok(Some(due)) => tokio::select! {
                    () = self.wake.notified() => (),
                    () = sleep_until(due) => (),
                },
            }
        }
    }

    fn is_waiting(&self) -> Result<bool, Lost> {
        let table = self.budget.table();
        let entry = table.bodies.get(&self.id).ok_or(Lost)?;
        Ok(entry.needed.is_some())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut table = self.budget.table();
        if let Some(entry) = table.remove(self.id) {
            table.serve(entry.part);
        }
        drop(table);
        self.budget.used.dec_by(signed(self.bytes));
    }
}

impl Entry {
    fn is_behind(&self, now: Instant) -> bool {
        !self.is_complete && self.needed.is_none() && self.due <= now
    }

    /// Returns the part that the body is in, or waits for.
    fn needed_part(&self) -> Part {
        match self.needed {
            Some((bytes, _)) if bytes > SMALL_BYTES => self.part.max(Part::Large),
            _ => self.part,
        }
    }

    fn is_waiting_for(&self, part: Part) -> bool {
        let is_small = self.needed_part() == Part::Small;
        self.needed.is_some() && is_small == (part == Part::Small)
    }
}

impl Table {
    /// Notes what arrived of a body, and takes the memory for it. If there is none, the body waits for it.
    fn arrive(&mut self, id: u64, arrived: usize, bytes: usize) {
        let now = Instant::now();
        let Some(entry) = self.bodies.get_mut(&id) else {
            return;
        };
        let earned = Duration::from_secs((arrived - entry.arrived) as u64) / PACE;
        entry.due = (entry.due + earned).min(now + GRACE);
        entry.arrived = arrived;
        if bytes == entry.bytes {
            return;
        }
        entry.needed = Some((bytes, now));
        let part = entry.needed_part();
        let mut has_ended = false;
        while !self.grant(id)
            && let Some(dispensable) = self.dispensable(id, part, now)
        {
            self.remove(dispensable);
            has_ended = true;
        }
        if has_ended {
            self.serve(part);
        }
    }

    /// Gives a body what it needs, if there is room.
    fn grant(&mut self, id: u64) -> bool {
        let Some((part, bytes)) = self.room(id) else {
            return false;
        };
        if let Some(entry) = self.bodies.get_mut(&id) {
            let left = entry.part;
            self.used[left as usize] -= entry.bytes;
            self.used[part as usize] += bytes;
            (entry.part, entry.bytes) = (part, bytes);
            if let Some((_, since)) = entry.needed.take() {
                entry.due += since.elapsed();
            }
            entry.wake.notify_one();
            if left != part {
                self.serve(left);
            }
        }
        true
    }

    /// Returns the part that has room for what a body needs, and the size of its share then.
    fn room(&self, id: u64) -> Option<(Part, usize)> {
        let entry = self.bodies.get(&id)?;
        let (bytes, _) = entry.needed?;
        let part = entry.needed_part();
        let held = if part == entry.part { entry.bytes } else { 0 };
        let used = self.used[part as usize] - held + bytes;
        match part {
            Part::Largest => Some((part, bytes)),
            Part::Small | Part::Large if used <= self.limits[part as usize] => Some((part, bytes)),
            Part::Large if self.used[Part::Largest as usize] == 0 => Some((Part::Largest, bytes)),
            Part::Small | Part::Large => None,
        }
    }

    /// Gives the bodies that wait what they need, after memory of a part was returned. The address with the fewest
    /// incomplete bodies is first.
    fn serve(&mut self, returned: Part) {
        loop {
            let entries = self
                .bodies
                .iter()
                .filter(|(id, entry)| entry.is_waiting_for(returned) && self.room(**id).is_some());
            let mut waiting = entries.peekable();
            if waiting.peek().is_none() {
                return;
            }
            let counts = self.counts();
            let next = waiting.min_by_key(|(id, entry)| (counts.get(&entry.group), **id));
            let Some(id) = next.map(|(id, _)| *id) else {
                return;
            };
            self.grant(id);
        }
    }

    /// Returns the body that makes room for another one, which needs memory of this part.
    fn dispensable(&self, id: u64, needed: Part, now: Instant) -> Option<u64> {
        let counts = self.counts();
        let own = counts.get(&self.bodies.get(&id)?.group).copied();
        let is_small = needed == Part::Small;
        let others = self.bodies.iter().filter(|(other, entry)| {
            **other != id
                && !entry.is_complete
                && entry.bytes > 0
                && (entry.part == Part::Small) == is_small
        });
        let ranked = others.filter_map(|(other, entry)| {
            let (count, is_behind) = (counts.get(&entry.group).copied(), entry.is_behind(now));
            let may_end = is_behind || is_small || (entry.needed.is_some() && count > own);
            may_end.then_some(((!is_behind, Reverse(count), *other), *other))
        });
        ranked.min().map(|(_, other)| other)
    }

    /// Returns the number of incomplete bodies of each address.
    fn counts(&self) -> HashMap<Option<IpAddr>, usize> {
        let mut counts = HashMap::new();
        for entry in self.bodies.values().filter(|entry| !entry.is_complete) {
            *counts.entry(entry.group).or_default() += 1;
        }
        counts
    }

    /// Returns until when the sender of a body keeps the pace, or `None` if it does not. If it does not, and others need
    /// the memory, the share is taken away.
    fn keep(&mut self, id: u64) -> Result<Option<Instant>, Lost> {
        let entry = self.bodies.get(&id).ok_or(Lost)?;
        let now = Instant::now();
        if !entry.is_behind(now) {
            return Ok((now < entry.due).then_some(entry.due));
        }
        let part = entry.part;
        let is_needed = self.bodies.values().any(|body| body.is_waiting_for(part));
        if part == Part::Small || !is_needed {
            return Ok(None);
        }
        self.remove(id);
        self.serve(part);
        Err(Lost)
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.bodies.remove(&id)?;
        self.used[entry.part as usize] -= entry.bytes;
        entry.wake.notify_one();
        Some(entry)
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
