//! Compares the answers to the deliveries with the requests on the objects.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// The time by which the watch may show a request later than the sender receives the answer. A watch that was
/// interrupted first lists all objects again.
const WATCH_LAG: Duration = Duration::from_secs(5);
/// The time after a disturbance during which the latencies are not counted as undisturbed.
const RECOVERY: Duration = Duration::from_secs(2);
/// The answer to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// 202, or 200 to a delivery that is out of date: the sender has nothing more to do.
    Done { status: u16 },
    /// 503.
    Unavailable { has_retry_after: bool },
    /// Another status.
    Other { status: u16 },
    /// Neither replica answered.
    None,
}

/// One delivery. All times are measured from the start of the run.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) number: u32,
    pub(super) object: usize,
    pub(super) begun: Duration,
    pub(super) ended: Duration,
    /// The times at which connections were refused or cut.
    pub(super) cuts: Vec<Duration>,
    pub(super) reply: Reply,
}

impl Delivery {
    fn is_done(&self) -> bool {
        matches!(self.reply, Reply::Done { .. })
    }
}

/// A request that the watch showed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Store {
    /// The delivery that announced its ref.
    pub(super) number: u32,
    pub(super) seen: Duration,
}

/// What was disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ApiServer,
    Replica,
}

/// The time of a disturbance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) kind: Kind,
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl Window {
    fn overlaps(&self, from: Duration, to: Duration) -> bool {
        from <= self.to && self.from <= to
    }
}

/// What happened in a run.
pub(super) struct Evidence {
    /// The deliveries, by number.
    pub(super) deliveries: Vec<Delivery>,
    /// What the watch showed, in order.
    pub(super) stores: Vec<Store>,
    /// The delivery whose ref each object has at the end.
    pub(super) last: Vec<Option<u32>>,
    pub(super) windows: Vec<Window>,
    /// The number of objects whose last request the controller did not handle.
    pub(super) unhandled: usize,
}

impl Evidence {
    fn delivery(&self, number: u32) -> Option<&Delivery> {
        self.deliveries.get(number as usize)
    }

    fn disturbed(&self, kind: Kind, from: Duration, to: Duration) -> bool {
        let mut windows = self.windows.iter().filter(|window| window.kind == kind);
        windows.any(|window| window.overlaps(from, to))
    }

    /// Returns the deliveries that were answered with 202, and that an older delivery replaced on the object at the end.
    fn replaced(&self, last_seen: &HashMap<u32, Duration>) -> Vec<u32> {
        let is_lost = |delivery: &&Delivery| {
            let last = self.last.get(delivery.object).copied().flatten();
            let last = last.and_then(|number| self.delivery(number));
            last.is_none_or(|last| settled(last, last_seen) < delivery.begun)
        };
        let done = self.deliveries.iter().filter(|one| one.is_done());
        done.filter(is_lost).map(|one| one.number).collect()
    }

    /// Returns the deliveries that were answered with 202, while neither they nor any concurrent or later ones were
    /// stored in time.
    fn unseen(&self, last_seen: &HashMap<u32, Duration>) -> Vec<u32> {
        let mut by_object: HashMap<usize, Vec<(Duration, &Delivery)>> = HashMap::new();
        for store in &self.stores {
            if let Some(delivery) = self.delivery(store.number) {
                let stores = by_object.entry(delivery.object).or_default();
                stores.push((store.seen, delivery));
            }
        }
        let is_seen = |delivery: &Delivery| {
            let until = self.watched_until(delivery);
            let mut stores = by_object.get(&delivery.object).into_iter().flatten();
            stores.any(|(seen, stored)| {
                let is_later = settled(stored, last_seen) >= delivery.begun;
                let is_in_time = *seen >= delivery.begun && *seen <= until;
                stored.number == delivery.number || (is_later && is_in_time)
            })
        };
        let done = self.deliveries.iter().filter(|one| one.is_done());
        done.filter(|one| !is_seen(one))
            .map(|one| one.number)
            .collect()
    }

    /// Returns the time until which the watch must have shown a delivery.
    fn watched_until(&self, delivery: &Delivery) -> Duration {
        let end = delivery.ended + WATCH_LAG;
        let outages = self.windows.iter().filter(|window| {
            window.kind == Kind::ApiServer && window.overlaps(delivery.begun, end)
        });
        let ends = outages.map(|window| window.to + WATCH_LAG);
        ends.fold(end, Duration::max)
    }
}

/// Returns the time after which a delivery cannot be stored any more. A delivery whose answer was not 202, or whose
/// connection was cut, may be stored after its end, because the API server may have its write already.
fn settled(delivery: &Delivery, last_seen: &HashMap<u32, Duration>) -> Duration {
    if delivery.is_done() && delivery.cuts.is_empty() {
        return delivery.ended;
    }
    let seen = last_seen.get(&delivery.number).copied();
    delivery.ended.max(seen.unwrap_or_default())
}

/// The result of a run. Its text is a table in Markdown.
#[derive(Debug)]
pub struct Verdict {
    rows: Vec<(&'static str, String)>,
    failures: Vec<String>,
}

impl Verdict {
    /// Returns why the run failed. It is empty if nothing was lost.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    pub(super) fn new(evidence: &Evidence) -> Self {
        let last_seen: HashMap<u32, Duration> = evidence
            .stores
            .iter()
            .map(|store| (store.number, store.seen))
            .collect();
        let replaced = evidence.replaced(&last_seen);
        let unseen = evidence.unseen(&last_seen);
        let counts = Counts::new(evidence);
        let latencies = undisturbed(evidence);
        let millis = |share| {
            format!(
                "{:.1} ms",
                percentile(&latencies, share).as_secs_f64() * 1e3
            )
        };
        let rows = vec![
            ("sent", counts.sent.to_string()),
            ("answered with 202", counts.accepted.to_string()),
            (
                "answered with 200, as out of date",
                counts.outdated.to_string(),
            ),
            ("answered with 503", counts.unavailable.to_string()),
            ("connections refused or cut", counts.cuts.to_string()),
            ("answered by neither replica", counts.unanswered.to_string()),
            ("stored, as the watch saw it", last_seen.len().to_string()),
            (
                "lost: replaced by an older one at the end",
                replaced.len().to_string(),
            ),
            (
                "lost: never stored, and no later one instead",
                unseen.len().to_string(),
            ),
            (
                "requests that were not handled",
                evidence.unhandled.to_string(),
            ),
            ("p50 of 202, undisturbed", millis(0.5)),
            ("p99 of 202, undisturbed", millis(0.99)),
        ];
        let mut failures = counts.failures();
        for (what, lost) in [
            ("replaced by older ones", &replaced),
            ("never stored", &unseen),
        ] {
            if !lost.is_empty() {
                let shown = &lost[..lost.len().min(10)];
                failures.push(format!(
                    "{} deliveries were accepted and {what}: {shown:?}",
                    lost.len()
                ));
            }
        }
        if evidence.unhandled > 0 {
            failures.push(format!("{} requests were not handled", evidence.unhandled));
        }
        Self { rows, failures }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "| deliveries | |\n| --- | ---: |")?;
        for (what, value) in &self.rows {
            writeln!(out, "| {what} | {value} |")?;
        }
        Ok(())
    }
}

/// The numbers of answers of each kind.
#[derive(Default)]
struct Counts {
    sent: usize,
    accepted: usize,
    outdated: usize,
    unavailable: usize,
    cuts: usize,
    unanswered: usize,
    /// The failures: what is never right, and what is right during a disturbance only.
    others: Vec<(u32, u16)>,
    without_retry_after: Vec<u32>,
    unavailable_without_outage: Vec<u32>,
    cuts_without_kill: Vec<u32>,
}

impl Counts {
    fn new(evidence: &Evidence) -> Self {
        let mut counts = Self {
            sent: evidence.deliveries.len(),
            ..Self::default()
        };
        for delivery in &evidence.deliveries {
            counts.count(evidence, delivery);
        }
        counts
    }

    fn count(&mut self, evidence: &Evidence, delivery: &Delivery) {
        let number = delivery.number;
        match delivery.reply {
            Reply::Done { status: 202 } => self.accepted += 1,
            Reply::Done { .. } => self.outdated += 1,
            Reply::Unavailable { has_retry_after } => {
                self.unavailable += 1;
                if !has_retry_after {
                    self.without_retry_after.push(number);
                }
                if !evidence.disturbed(Kind::ApiServer, delivery.begun, delivery.ended) {
                    self.unavailable_without_outage.push(number);
                }
            }
            Reply::Other { status } => self.others.push((number, status)),
            Reply::None => self.unanswered += 1,
        }
        self.cuts += delivery.cuts.len();
        let mut cuts = delivery.cuts.iter();
        if cuts.any(|&cut| !evidence.disturbed(Kind::Replica, cut, cut)) {
            self.cuts_without_kill.push(number);
        }
    }

    fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        let mut check = |what: &str, found: &[u32]| {
            if !found.is_empty() {
                let shown = &found[..found.len().min(10)];
                failures.push(format!("{} {what}: {shown:?}", found.len()));
            }
        };
        check(
            "answers were 503 without Retry-After",
            &self.without_retry_after,
        );
        check(
            "answers were 503 without an outage",
            &self.unavailable_without_outage,
        );
        check(
            "deliveries were cut while no replica ended",
            &self.cuts_without_kill,
        );
        if !self.others.is_empty() {
            failures.push(format!("unexpected answers: {:?}", self.others));
        }
        // The disturbances take less than half of a run. A run without deliveries is a failure too.
        if self.accepted == 0 || self.accepted * 2 < self.sent {
            failures.push(format!(
                "only {} of {} were accepted",
                self.accepted, self.sent
            ));
        }
        failures
    }
}

/// Returns the latencies of the deliveries that were accepted without a disturbance, sorted.
fn undisturbed(evidence: &Evidence) -> Vec<Duration> {
    let is_disturbed = |delivery: &Delivery| {
        let mut windows = evidence.windows.iter();
        let from = delivery.begun.saturating_sub(RECOVERY);
        windows.any(|window| window.overlaps(from, delivery.ended))
    };
    let mut latencies: Vec<Duration> = evidence
        .deliveries
        .iter()
        .filter(|delivery| delivery.reply == Reply::Done { status: 202 } && !is_disturbed(delivery))
        .map(|delivery| delivery.ended.saturating_sub(delivery.begun))
        .collect();
    latencies.sort_unstable();
    latencies
}

/// Returns the latency that this many hundredths of sorted latencies do not exceed.
fn percentile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = (sorted.len() as f64 * share) as usize;
    let last = sorted.len().saturating_sub(1);
    sorted.get(index.min(last)).copied().unwrap_or_default()
}
