use futures::FutureExt as _;
use tokio::time::{Duration, Instant, advance, sleep};

use super::table::MAX_WAITING;
use super::*;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// The least time after which a sender that sends nothing is behind.
const LATE: Duration = Duration::from_millis(1001);
/// The same for a small body.
const SMALL_LATE: Duration = Duration::from_millis(110);

fn source(number: u8) -> IpAddr {
    [192, 0, 2, number].into()
}

/// Returns a budget with 512 KiB for small bodies, 512 KiB for large ones, and 1 MiB for one of the largest size.
fn budget() -> Budget {
    Budget::new(2 * MIB, MIB, Gauge::default())
}

/// Returns the share of a large body of which nothing has arrived.
fn large(budget: &Budget, number: u8) -> Share {
    budget.share(Some(source(number)), Some(MIB))
}

impl Share {
    /// Grows at once, or returns `None` if the body has to wait.
    fn try_grow(&mut self, bytes: usize) -> Option<Result<(), Lost>> {
        self.grow(bytes).now_or_never()
    }

    #[track_caller]
    fn must_grow(&mut self, bytes: usize) {
        self.try_grow(bytes).expect("there is room").unwrap();
    }

    fn is_lost(&self) -> bool {
        self.lost().now_or_never().is_some()
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_are_taken_in_steps() {
    let used = Gauge::default();
    let budget = Budget::new(2 * MIB, MIB, used.clone());
    let mut share = budget.share(None, None);
    for (bytes, taken) in [(1, 4), (4 * KIB, 4), (5 * KIB, 8), (65 * KIB, 128)] {
        share.grow(bytes).await.unwrap();
        assert_eq!(used.get(), signed(taken * KIB), "{bytes}");
    }
    drop(share);
    assert_eq!(used.get(), 0);
    assert_eq!(budget.table().used, [0; 3]);
    assert!(budget.table().bodies.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_body_completes_where_several_would_wait_for_each_other() {
    let used = Gauge::default();
    let budget = Budget::new(5 * MIB, MIB, used.clone());
    let mut shares = [1, 2, 3].map(|number| large(&budget, number));
    for share in &mut shares {
        share.must_grow(640 * KIB);
    }
    // The shared 2 MiB have no room for a second half of all three.
    let [first, second, third] = &mut shares;
    first.must_grow(MIB);
    second.must_grow(MIB);
    third.must_grow(MIB);
    let mut fourth = large(&budget, 4);
    assert!(fourth.try_grow(1).is_none());
    assert!(used.get() <= signed(5 * MIB));
    drop(shares);
    fourth.must_grow(1);
}

#[tokio::test(start_paused = true)]
async fn large_bodies_leave_small_ones_their_part() {
    let budget = budget();
    let mut shares: Vec<_> = (1..10).map(|number| large(&budget, number)).collect();
    for share in &mut shares {
        share.try_grow(500 * KIB);
    }
    // Bodies without an announced length wait as well.
    let mut chunked = budget.share(Some(source(10)), None);
    chunked.must_grow(SMALL_BYTES);
    assert!(chunked.try_grow(SMALL_BYTES + 1).is_none());
    let mut small = budget.share(Some(source(1)), Some(SMALL_BYTES));
    small.must_grow(SMALL_BYTES);
    assert!(!chunked.is_lost());
}

#[tokio::test(start_paused = true)]
async fn a_small_body_does_not_wait_for_an_address_with_more_bodies() {
    let budget = budget();
    let mut others: Vec<_> = (0..100)
        .map(|_| budget.share(Some(source(2)), None))
        .collect();
    for other in &mut others {
        other.try_grow(SMALL_BYTES);
    }
    assert!(others.iter().all(|share| !share.is_lost()), "they wait");
    let mut honest = budget.share(Some(source(1)), None);
    honest.must_grow(32 * KIB);
    // The address with the most bodies has lost its oldest one.
    assert!(others[0].is_lost() && others[1..].iter().all(|share| !share.is_lost()));
    honest.must_grow(SMALL_BYTES);
    honest.complete().unwrap();
    assert_eq!(others[0].complete(), Err(Lost));
    assert!(budget.table().used[0] <= 512 * KIB);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_small_bodies_is_not_ended() {
    let budget = Budget::new(32 * MIB, 25 * MIB, Gauge::default());
    let burst = (0..500).map(|_| {
        let mut share = budget.share(Some(source(1)), Some(20 * KIB));
        async move {
            for arrived in [1, 10 * KIB, 20 * KIB] {
                share.grow(arrived).await?;
                sleep(Duration::from_millis(1)).await;
            }
            share.complete()?;
            sleep(Duration::from_millis(1)).await;
            Ok(())
        }
    });
    let ends = futures::future::join_all(burst).await;
    assert_eq!(ends.iter().filter(|end| **end == Err(Lost)).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_small_body_takes_its_announced_length_at_once() {
    let budget = budget();
    let mut first = budget.share(Some(source(1)), Some(21 * KIB));
    first.must_grow(1);
    assert_eq!(budget.table().used[0], 24 * KIB);
    first.must_grow(21 * KIB);
    assert_eq!(budget.table().used[0], 24 * KIB);
}

#[tokio::test(start_paused = true)]
async fn a_small_body_that_stalls_makes_room_when_it_falls_behind() {
    let budget = budget();
    let slow = (0..8).map(|_| budget.share(Some(source(1)), Some(SMALL_BYTES)));
    let mut slow: Vec<_> = slow.collect();
    for share in &mut slow {
        share.must_grow(1);
    }
    let mut honest = budget.share(Some(source(1)), Some(SMALL_BYTES));
    let started = Instant::now();
    let ends = slow.iter().map(|share| share.lost().boxed());
    let (grown, _) = tokio::join!(honest.grow(1), futures::future::select_all(ends));
    grown.unwrap();
    assert_eq!(started.elapsed().as_millis(), 100);
    // Only as much is taken as is needed.
    assert_eq!(slow.iter().filter(|share| share.is_lost()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_ends_if_it_would_not_make_enough_room() {
    let budget = budget();
    let complete = (0..7).map(|_| {
        let mut share = budget.share(Some(source(3)), None);
        share.must_grow(SMALL_BYTES);
        share.complete().unwrap();
        share
    });
    let mut complete: Vec<_> = complete.collect();
    // An address keeps as many bodies as the one that needs the memory has.
    let mut others = [2, 2].map(|number| budget.share(Some(source(number)), None));
    for other in &mut others {
        other.must_grow(1);
    }
    let mut small = budget.share(Some(source(1)), Some(SMALL_BYTES));
    assert!(small.try_grow(1).is_none());
    assert!(others.iter().all(|share| !share.is_lost()));
    complete.pop();
    small.must_grow(1);
}

#[tokio::test(start_paused = true)]
async fn senders_that_fall_behind_one_after_the_other_make_room_together() {
    let budget = budget();
    let mut slow: Vec<_> = (0..16)
        .map(|_| budget.share(Some(source(1)), Some(32 * KIB)))
        .collect();
    slow[0].must_grow(1);
    advance(SMALL_LATE / 2).await;
    for share in &mut slow[1..] {
        share.must_grow(1);
    }
    advance(SMALL_LATE / 2).await;
    let mut honest = budget.share(Some(source(1)), Some(SMALL_BYTES));
    assert!(honest.try_grow(1).is_none());
    assert!(
        slow.iter().all(|share| !share.is_lost()),
        "one is too small"
    );
    advance(SMALL_LATE / 2).await;
    assert!(!slow[15].is_lost());
    assert_eq!(slow.iter().filter(|share| share.is_lost()).count(), 2);
    honest.must_grow(1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_holds_nothing_is_not_ended() {
    let budget = budget();
    let mut complete = [1, 1].map(|number| large(&budget, number));
    for share in &mut complete {
        share.must_grow(512 * KIB);
        share.complete().unwrap();
    }
    let mut empty = large(&budget, 2);
    advance(LATE).await;
    let mut honest = large(&budget, 3);
    assert!(honest.try_grow(1).is_none());
    assert!(!empty.is_lost());
    drop(honest);
    drop(complete);
    empty.must_grow(1);
    let now = Instant::now();
    assert!(!budget.table().bodies[&empty.id].is_behind(now));
}

#[tokio::test(start_paused = true)]
async fn the_number_of_bodies_that_wait_is_limited() {
    let budget = budget();
    let mut earlier = [1, 3].map(|number| large(&budget, number));
    for share in &mut earlier {
        share.must_grow(512 * KIB);
        share.complete().unwrap();
    }
    let mut others: Vec<_> = (0..5000).map(|_| large(&budget, 2)).collect();
    for (number, other) in others.iter_mut().enumerate() {
        let grown = other.try_grow(1);
        assert_eq!(grown, (number >= MAX_WAITING).then_some(Err(Lost)));
    }
    assert_eq!(budget.table().waiting.len(), MAX_WAITING);
    // Another address waits instead of the youngest body, and is first.
    let mut honest = large(&budget, 1);
    assert!(honest.try_grow(512 * KIB).is_none());
    let lost = others.iter().position(Share::is_lost);
    assert_eq!(lost, Some(MAX_WAITING - 1));
    let [first, _second] = earlier;
    drop(first);
    honest.must_grow(512 * KIB);
}

#[tokio::test(start_paused = true)]
async fn a_small_body_waits_for_complete_ones() {
    let budget = budget();
    let mut others: Vec<_> = (0..8)
        .map(|_| budget.share(Some(source(2)), None))
        .collect();
    for other in &mut others {
        other.must_grow(SMALL_BYTES);
        other.complete().unwrap();
    }
    let mut small = budget.share(Some(source(1)), None);
    assert!(small.try_grow(1).is_none());
    let grown = tokio::spawn(async move { small.grow(1).await });
    tokio::task::yield_now().await;
    others.pop();
    assert_eq!(grown.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_does_not_keep_the_pace_makes_room() {
    let budget = budget();
    // One body is in the part of the largest one, and one in that of all large ones.
    let mut slow = [1, 1].map(|number| large(&budget, number));
    for share in &mut slow {
        share.must_grow(512 * KIB);
    }
    // A sender earns nothing with what it sends at once.
    advance(LATE).await;
    assert!(slow.iter().all(|share| !share.is_lost()), "nobody waits");
    let mut honest = large(&budget, 1);
    honest.must_grow(128 * KIB);
    assert!(slow.iter().any(Share::is_lost));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_waits_gets_the_memory_of_a_sender_that_falls_behind() {
    let budget = budget();
    let mut slow = [1, 1].map(|number| large(&budget, number));
    for share in &mut slow {
        share.must_grow(512 * KIB);
    }
    let mut honest = large(&budget, 2);
    let started = Instant::now();
    let ends = slow.iter().map(|share| share.lost().boxed());
    let (grown, _) = tokio::join!(honest.grow(MIB), futures::future::select_all(ends));
    grown.unwrap();
    // The part of the largest one is enough.
    assert_eq!(slow.iter().filter(|share| share.is_lost()).count(), 1);
    assert_eq!(started.elapsed().as_millis(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_keeps_the_pace_is_not_ended() {
    let budget = budget();
    let mut honest = large(&budget, 1);
    honest.must_grow(512 * KIB + 1);
    let mut others: Vec<_> = (0..5).map(|_| large(&budget, 2)).collect();
    for arrived in (576 * KIB..=MIB).step_by(64 * KIB) {
        advance(Duration::from_millis(250)).await;
        honest.must_grow(arrived);
        for other in &mut others {
            other.try_grow(128 * KIB);
        }
        assert!(!honest.is_lost(), "{arrived}");
    }
    // What is complete is not late.
    honest.complete().unwrap();
    advance(10 * LATE).await;
    large(&budget, 3).try_grow(MIB);
    assert!(!honest.is_lost());
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_a_sender_stops_while_its_body_waits() {
    let budget = budget();
    let mut complete = [1, 1].map(|number| large(&budget, number));
    for share in &mut complete {
        share.must_grow(512 * KIB);
        share.complete().unwrap();
    }
    let mut honest = large(&budget, 2);
    let waiting = async {
        honest.grow(128 * KIB).await.unwrap();
        honest
    };
    let release = async {
        advance(5 * LATE).await;
        drop(complete);
    };
    let (honest, ()) = tokio::join!(waiting, release);
    let table = budget.table();
    assert!(!table.bodies[&honest.id].is_behind(Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn the_address_with_the_fewest_bodies_is_next() {
    let budget = budget();
    let mut complete = [1, 1].map(|number| large(&budget, number));
    for share in &mut complete {
        share.must_grow(512 * KIB);
        share.complete().unwrap();
    }
    let mut waiting = [2, 2, 3].map(|number| large(&budget, number));
    for share in &mut waiting {
        assert!(share.try_grow(512 * KIB).is_none());
    }
    let [first, _] = complete;
    drop(first);
    let table = budget.table();
    let has_room = waiting
        .each_ref()
        .map(|share| table.bodies[&share.id].bytes > 0);
    assert_eq!(has_room, [false, false, true]);
    drop(table);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_waits_makes_room_for_an_address_with_fewer_bodies() {
    let budget = budget();
    let mut lead = large(&budget, 2);
    let mut others = [2, 2].map(|number| large(&budget, number));
    lead.must_grow(512 * KIB);
    lead.must_grow(576 * KIB);
    for share in &mut others {
        share.must_grow(256 * KIB);
    }
    for share in &mut others {
        assert!(share.try_grow(512 * KIB).is_none());
    }
    // An address with as many bodies waits.
    let mut same: Vec<_> = (0..3).map(|_| large(&budget, 3)).collect();
    assert!(same[0].try_grow(128 * KIB).is_none());
    same.clear();
    let mut honest = large(&budget, 3);
    honest.must_grow(128 * KIB);
    assert!(others[0].is_lost() && !others[1].is_lost() && !lead.is_lost());
}
