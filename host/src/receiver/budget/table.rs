//! The bodies, what they hold of the memory, and what they wait for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Lost, SMALL_BYTES};
use crate::server;

/// The pace of a sender in bytes per second. A body of 25 MiB at this pace would take more than a minute.
const PACE: u32 = 256 << 10;
/// How far a sender may be behind its pace. A lost packet is sent again within this time.
const GRACE: Duration = Duration::from_secs(1);
/// The same for a small body. It usually arrives at once, and many that do not arrive would let all others wait.
const SMALL_GRACE: Duration = Duration::from_millis(100);
/// The maximum number of bodies that wait. It is enough for a burst of a sender, and each step looks at all of them.
pub(super) const MAX_WAITING: usize = 512;

/// The address of a sender, or the network of it.
type Group = Option<IpAddr>;

pub(super) struct Table {
    /// The sizes of the parts for small and for large bodies in bytes.
    limits: [usize; 2],
    /// What is taken of each part in bytes.
    pub(super) used: [usize; 3],
    /// The number of bodies so far, which is the number of the next one.
    count: u64,
    pub(super) bodies: BTreeMap<u64, Entry>,
    /// The number of incomplete bodies of each address.
    incomplete: HashMap<Group, usize>,
    /// The incomplete bodies that hold memory. Each holds at least a step, so that the memory limits their number.
    holders: BTreeSet<u64>,
    /// The bodies that wait for memory.
    pub(super) waiting: BTreeSet<u64>,
}

/// A part of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Small,
    Large,
    /// The part for one body of the largest size.
    Largest,
}

pub(super) struct Entry {
    group: Group,
    part: Part,
    /// What the body has taken of its part.
    pub(super) bytes: usize,
    /// The size of the share that the body waits for, and since when.
    needed: Option<(usize, Instant)>,
    /// The number of bytes that arrived.
    arrived: usize,
    is_complete: bool,
    /// The time until which the sender keeps the pace if nothing more arrives.
    due: Instant,
    wake: Arc<Notify>,
}

/// A body that can be ended, and what it holds.
struct Candidate {
    id: u64,
    part: Part,
    bytes: usize,
}

impl Part {
    fn grace(self) -> Duration {
        match self {
            Self::Small => SMALL_GRACE,
            Self::Large | Self::Largest => GRACE,
        }
    }
}

impl Entry {
    /// Returns whether the body holds memory although its sender does not keep the pace.
    pub(super) fn is_behind(&self, now: Instant) -> bool {
        !self.is_complete && self.bytes > 0 && self.needed.is_none() && self.due <= now
    }

    /// Returns the part that the body is in, or waits for.
    fn needed_part(&self) -> Part {
        match self.needed {
            Some((bytes, _)) if bytes > SMALL_BYTES => self.part.max(Part::Large),
            _ => self.part,
        }
    }
}

impl Table {
    /// Returns a table without bodies. The limits are those of the parts for small and for large ones.
    pub(super) fn new(limits: [usize; 2]) -> Self {
        Self {
            limits,
            used: [0; 3],
            count: 0,
            bodies: BTreeMap::new(),
            incomplete: HashMap::new(),
            holders: BTreeSet::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// Adds a body of which nothing has arrived, and returns its number.
    pub(super) fn add(&mut self, source: Option<IpAddr>, is_large: bool, wake: Arc<Notify>) -> u64 {
        let part = if is_large { Part::Large } else { Part::Small };
        let entry = Entry {
            group: source.map(server::group),
            part,
            bytes: 0,
            needed: None,
            arrived: 0,
            is_complete: false,
            due: Instant::now() + part.grace(),
            wake,
        };
        let id = self.count;
        self.count += 1;
        *self.incomplete.entry(entry.group).or_default() += 1;
        self.bodies.insert(id, entry);
        id
    }

    /// Notes what arrived of a body, and takes the memory for it. If there is none, the body waits for it.
    pub(super) fn arrive(&mut self, id: u64, arrived: usize, bytes: usize) {
        let now = Instant::now();
        let Some(entry) = self.bodies.get_mut(&id) else {
            return;
        };
        let earned = Duration::from_secs((arrived - entry.arrived) as u64) / PACE;
        // The clock starts with the first bytes. Before, the body holds nothing.
        let latest = now + entry.part.grace();
        entry.due = if entry.arrived == 0 {
            latest
        } else {
            (entry.due + earned).min(latest)
        };
        entry.arrived = arrived;
        if bytes == entry.bytes {
            return;
        }
        entry.needed = Some((bytes, now));
        match self.grant(id) {
            Some(false) => {}
            Some(true) => self.serve(),
            None => {
                let mut candidates = self.candidates(id, now);
                if self.make_room(id, &mut candidates) {
                    self.grant(id);
                    self.serve();
                } else {
                    self.wait(id);
                }
            }
        }
    }

    /// Notes that a body has arrived completely.
    pub(super) fn complete(&mut self, id: u64) -> Result<(), Lost> {
        let entry = self.bodies.get_mut(&id).ok_or(Lost)?;
        let group = entry.group;
        if !std::mem::replace(&mut entry.is_complete, true) {
            self.holders.remove(&id);
            self.discount(group);
        }
        Ok(())
    }

    pub(super) fn is_waiting(&self, id: u64) -> Result<bool, Lost> {
        let entry = self.bodies.get(&id).ok_or(Lost)?;
        Ok(entry.needed.is_some())
    }

    /// Returns until when the sender of a body keeps the pace, or `None` if it does not. If it does not, and others need
    /// the memory, the share is taken away.
    pub(super) fn keep(&mut self, id: u64) -> Result<Option<Instant>, Lost> {
        let entry = self.bodies.get(&id).ok_or(Lost)?;
        let (now, due) = (Instant::now(), entry.due);
        if entry.is_behind(now) {
            self.serve();
        }
        if self.bodies.contains_key(&id) {
            Ok((now < due).then_some(due))
        } else {
            Err(Lost)
        }
    }

    /// Returns the memory of a body, if it was not taken away.
    pub(super) fn end(&mut self, id: u64) {
        if self.remove(id) > 0 {
            self.serve();
        }
    }

    /// Gives a body what it needs. Returns whether it returned memory of another part, or `None` if there is no room.
    fn grant(&mut self, id: u64) -> Option<bool> {
        let (part, bytes) = self.room(id)?;
        let entry = self.bodies.get_mut(&id)?;
        let (left, held) = (entry.part, entry.bytes);
        self.used[left as usize] -= held;
        self.used[part as usize] += bytes;
        (entry.part, entry.bytes) = (part, bytes);
        if let Some((_, since)) = entry.needed.take() {
            entry.due += since.elapsed();
        }
        entry.wake.notify_one();
        self.waiting.remove(&id);
        self.holders.insert(id);
        Some(left != part && held > 0)
    }

    /// Returns the part that has room for what a body needs, and the size of its share then.
    fn room(&self, id: u64) -> Option<(Part, usize)> {
        let (part, bytes, missing) = self.missing(id)?;
        if missing == 0 {
            Some((part, bytes))
        } else if part == Part::Large && self.used[Part::Largest as usize] == 0 {
            Some((Part::Largest, bytes))
        } else {
            None
        }
    }

    /// Returns the part that a body needs, the size of its share then, and how much the part lacks.
    fn missing(&self, id: u64) -> Option<(Part, usize, usize)> {
        let entry = self.bodies.get(&id)?;
        let (bytes, _) = entry.needed?;
        let part = entry.needed_part();
        let held = if part == entry.part { entry.bytes } else { 0 };
        let used = self.used[part as usize] - held + bytes;
        let limit = self.limits.get(part as usize).copied();
        Some((part, bytes, used.saturating_sub(limit.unwrap_or(used))))
    }

    /// Lets a body wait. If too many wait, the one that would be the last to get memory is ended.
    fn wait(&mut self, id: u64) {
        self.waiting.insert(id);
        if self.waiting.len() <= MAX_WAITING {
            return;
        }
        let last = self.waiting.iter().copied().max_by_key(|id| self.rank(*id));
        if let Some(last) = last {
            self.end(last);
        }
    }

    /// Returns the place of a body among those that wait. The address with the fewest incomplete bodies is first.
    fn rank(&self, id: u64) -> (usize, u64) {
        let entry = self.bodies.get(&id);
        (entry.map_or(0, |entry| self.incomplete_of(entry.group)), id)
    }

    /// Gives the bodies that wait what they need, after memory was returned or a sender fell behind its pace.
    fn serve(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut waiting: Vec<_> = self.waiting.iter().copied().collect();
        waiting.sort_by_cached_key(|id| self.rank(*id));
        let now = Instant::now();
        let mut behind = self.behind(now);
        // A body that moves to another part makes room for those that were before it.
        let mut has_moved = true;
        while std::mem::take(&mut has_moved) {
            for id in &waiting {
                let can_grow = self.room(*id).is_some() || self.make_room(*id, &mut behind);
                has_moved |= can_grow && self.grant(*id) == Some(true);
            }
        }
    }

    /// Ends the first candidates, as many as make room for what a body needs. Ends none if all are not enough.
    fn make_room(&mut self, id: u64, candidates: &mut Vec<Candidate>) -> bool {
        let Some((part, _, missing)) = self.missing(id) else {
            return false;
        };
        let (mut ended, mut bytes) = (BTreeSet::new(), 0);
        for candidate in candidates.iter() {
            if (candidate.part == Part::Small) != (part == Part::Small) {
                continue;
            }
            if candidate.part == Part::Largest {
                // The body moves to this part, and needs no other.
                ended.clear();
                bytes = missing;
            }
            ended.insert(candidate.id);
            bytes += candidate.bytes;
            if bytes >= missing {
                break;
            }
        }
        if bytes < missing {
            return false;
        }
        candidates.retain(|candidate| !ended.contains(&candidate.id));
        for id in ended {
            self.remove(id);
        }
        true
    }

    /// Returns the bodies whose senders do not keep the pace. The address with the most incomplete bodies is first.
    fn behind(&self, now: Instant) -> Vec<Candidate> {
        let holders = self.holders().filter(|(_, entry)| entry.is_behind(now));
        let mut behind: Vec<_> = holders.collect();
        behind.sort_by_cached_key(|(id, entry)| (Reverse(self.incomplete_of(entry.group)), *id));
        behind.into_iter().map(Candidate::from).collect()
    }

    /// Returns the bodies that can be ended for what a body needs, the first one first.
    fn candidates(&self, id: u64, now: Instant) -> Vec<Candidate> {
        let mut candidates = self.behind(now);
        // How many bodies of each address end before the next one does.
        let mut ended: HashMap<Group, usize> = HashMap::new();
        for entry in candidates
            .iter()
            .filter_map(|body| self.bodies.get(&body.id))
        {
            *ended.entry(entry.group).or_default() += 1;
        }
        let left = |group, ended: &HashMap<_, _>| {
            let ended = ended.get(&group).copied().unwrap_or_default();
            self.incomplete_of(group) - ended
        };
        let own = self.bodies.get(&id).map(|entry| left(entry.group, &ended));
        let mut ranked = Vec::new();
        for (other, entry) in self.holders() {
            let may_end = entry.part == Part::Small || entry.needed.is_some();
            let count = left(entry.group, &ended);
            if other != id && may_end && !entry.is_behind(now) && Some(count) > own {
                ranked.push((Reverse(count), other, entry));
                *ended.entry(entry.group).or_default() += 1;
            }
        }
        ranked.sort_by_key(|(count, other, _)| (*count, *other));
        let ranked = ranked.into_iter().map(|(_, other, entry)| (other, entry));
        candidates.extend(ranked.map(Candidate::from));
        candidates
    }

    fn holders(&self) -> impl Iterator<Item = (u64, &Entry)> {
        let entries = self.holders.iter();
        entries.filter_map(|id| Some((*id, self.bodies.get(id)?)))
    }

    fn incomplete_of(&self, group: Group) -> usize {
        self.incomplete.get(&group).copied().unwrap_or_default()
    }

    /// Removes a body, and returns how much it held.
    fn remove(&mut self, id: u64) -> usize {
        let Some(entry) = self.bodies.remove(&id) else {
            return 0;
        };
        self.used[entry.part as usize] -= entry.bytes;
        self.waiting.remove(&id);
        self.holders.remove(&id);
        if !entry.is_complete {
            self.discount(entry.group);
        }
        entry.wake.notify_one();
        entry.bytes
    }

    /// Counts an incomplete body less.
    fn discount(&mut self, group: Group) {
        if let Some(count) = self.incomplete.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                self.incomplete.remove(&group);
            }
        }
    }
}

impl From<(u64, &Entry)> for Candidate {
    fn from((id, entry): (u64, &Entry)) -> Self {
        Self {
            id,
            part: entry.part,
            bytes: entry.bytes,
        }
    }
}
