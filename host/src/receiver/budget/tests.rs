use std::pin::Pin;

use futures::FutureExt as _;
use tokio::time::{Instant, advance, sleep};

use super::*;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// The least time after which a sender that sends nothing is behind.
const LATE: Duration = Duration::from_millis(1001);
/// The same for a small body.
const SMALL_LATE: Duration = Duration::from_millis(101);

fn source(number: u8) -> IpAddr {
    [192, 0, 2, number].into()
}

/// Returns a budget with 512 KiB for small bodies, 512 KiB for larger ones, and 1 MiB for the largest ones.
fn budget() -> Budget {
    Budget::new(2 * MIB, MIB, &Gauge::default())
}

impl Budget {
    /// Returns a share without a wait.
    #[track_caller]
    fn take(&self, number: u8, bytes: usize) -> Share {
        let reserved = self.reserve(Some(source(number)), bytes).now_or_never();
        reserved.expect("there is room").unwrap()
    }

    fn take_all<const COUNT: usize>(&self, number: u8, bytes: usize) -> [Share; COUNT] {
        std::array::from_fn(|_| self.take(number, bytes))
    }

    /// Begins to wait for a share.
    fn wait(&self, number: u8, bytes: usize) -> Wait<'_> {
        let mut wait: Wait<'_> = self.reserve(Some(source(number)), bytes).boxed();
        assert!(wait.try_take().is_none(), "there is room");
        wait
    }
}

type Wait<'b> = Pin<Box<dyn Future<Output = Result<Share, Lost>> + Send + 'b>>;

trait TryTake {
    fn try_take(&mut self) -> Option<Result<Share, Lost>>;
}

impl TryTake for Wait<'_> {
    fn try_take(&mut self) -> Option<Result<Share, Lost>> {
        self.now_or_never()
    }
}

impl Share {
    fn is_lost(&self) -> bool {
        self.lost().now_or_never().is_some()
    }

    #[track_caller]
    fn completed(mut self) -> Self {
        self.complete(self.bytes).unwrap();
        self
    }
}

/// Returns how many are lost. Nothing more has arrived of their bodies.
fn lost(shares: &[Share]) -> usize {
    shares.iter().filter(|share| share.is_lost()).count()
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_is_returned() {
    let used = Gauge::default();
    let budget = Budget::new(2 * MIB, MIB, &used);
    let mut chunked = budget.take(1, SMALL_BYTES);
    let tiny = budget.take(1, 1).completed();
    assert_eq!(used.get(), 68 << 10);
    chunked.complete(20 * KIB).unwrap();
    assert_eq!(used.get(), 24 << 10);
    let ended = budget.take_all::<7>(1, SMALL_BYTES);
    advance(SMALL_LATE).await;
    assert_eq!(lost(&ended), 0);
    let other = budget.take(1, SMALL_BYTES);
    assert_eq!(lost(&ended), 1);
    assert_eq!(used.get(), (24 + 7 * 64) << 10);
    drop((chunked, tiny, ended, other));
    assert_eq!(used.get(), 0);
    let _all = budget.take_all::<8>(1, SMALL_BYTES);
}

#[tokio::test(start_paused = true)]
async fn bodies_wait_only_for_those_of_similar_sizes() {
    let budget = Budget::new(32 * MIB, 25 * MIB, &Gauge::default());
    let _largest = budget.take(1, 25 * MIB);
    let _next = budget.wait(1, 2 * MIB);
    let _medium = budget.take_all::<3>(1, 1194 * KIB);
    let _next = budget.wait(1, 100 * KIB);
    let _small = budget.take_all::<56>(1, SMALL_BYTES);
    let _next = budget.wait(1, 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_leaves_nothing() {
    let budget = budget();
    let first = budget.take(1, MIB);
    let second = budget.wait(2, MIB);
    let mut third = budget.wait(2, MIB);
    drop(second);
    drop(first);
    // The memory was given to a body that does not use it.
    let granted = budget.wait(3, MIB);
    drop(third.try_take());
    drop(granted);
    budget.take(4, MIB);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_small_bodies_is_not_ended() {
    let budget = Budget::new(32 * MIB, 25 * MIB, &Gauge::default());
    let burst = (0..500).map(|_| {
        let share = budget.reserve(Some(source(1)), 20 * KIB);
        async move {
            let mut share = share.await?;
            sleep(Duration::from_millis(2)).await;
            share.complete(20 * KIB)?;
            sleep(Duration::from_millis(1)).await;
            Ok(())
        }
    });
    let ends = futures::future::join_all(burst).await;
    assert_eq!(ends.iter().filter(|end| **end == Err(Lost)).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_makes_room_when_it_falls_behind() {
    for (bytes, millis) in [(SMALL_BYTES, 100), (128 * KIB, 1000), (MIB / 2 + 1, 1000)] {
        let budget = budget();
        let mut stalled = vec![budget.take(1, bytes)];
        while let Some(Ok(share)) = budget.reserve(Some(source(1)), bytes).now_or_never() {
            stalled.push(share);
        }
        let started = Instant::now();
        let honest = budget.reserve(Some(source(1)), bytes);
        let ends = stalled.iter().map(|share| share.lost().boxed());
        let (honest, _) = tokio::join!(honest, futures::future::select_all(ends));
        assert!(honest.is_ok());
        assert_eq!(started.elapsed().as_millis(), millis);
        // Only as much is taken as is needed.
        assert_eq!(lost(&stalled), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_late_is_not_ended_while_nobody_waits() {
    let budget = budget();
    let late = budget.take(1, MIB);
    advance(10 * LATE).await;
    let _others = budget.take_all::<8>(1, SMALL_BYTES);
    assert!(!late.is_lost());
    // More has arrived, and was not read yet.
    late.arrived(1);
    drop(budget.wait(2, MIB));
    assert!(!late.is_lost());
    let _next = budget.take(2, MIB);
    assert!(late.is_lost());
}

#[tokio::test(start_paused = true)]
async fn the_body_that_is_late_for_longest_ends_first() {
    let budget = budget();
    let first = budget.take_all::<4>(1, SMALL_BYTES);
    advance(SMALL_LATE / 2).await;
    let second = budget.take_all::<4>(2, SMALL_BYTES);
    advance(SMALL_LATE / 2).await;
    first[0].arrived(SMALL_BYTES);
    assert_eq!((lost(&first), lost(&second)), (0, 0));
    let _others = budget.take_all::<3>(3, SMALL_BYTES);
    assert_eq!((lost(&first), lost(&second)), (3, 0));
    advance(SMALL_LATE).await;
    assert!(!first[0].is_lost() && !second[0].is_lost());
    let _other = budget.take(3, SMALL_BYTES);
    assert!(second[0].is_lost() && !first[0].is_lost());
}

#[tokio::test(start_paused = true)]
async fn nothing_ends_if_it_would_not_make_enough_room() {
    let budget = budget();
    let complete = budget.take_all::<7>(3, SMALL_BYTES).map(Share::completed);
    let another = budget.take(3, 1).completed();
    let late = [2, 2].map(|number| budget.take(number, 16 * KIB));
    advance(SMALL_LATE).await;
    assert_eq!(lost(&late), 0);
    let mut small = budget.wait(1, SMALL_BYTES);
    assert_eq!(lost(&late), 0);
    drop(complete);
    assert!(small.try_take().unwrap().is_ok());
    assert_eq!(lost(&late), 0);
    drop(another);
}

#[tokio::test(start_paused = true)]
async fn senders_that_fall_behind_one_after_the_other_make_room_together() {
    let budget = budget();
    let first = budget.take(1, 32 * KIB);
    advance(SMALL_LATE / 2).await;
    let others = budget.take_all::<15>(1, 32 * KIB);
    advance(SMALL_LATE / 2).await;
    let mut honest = budget.wait(1, SMALL_BYTES);
    assert!(!first.is_lost(), "one is too small");
    advance(SMALL_LATE / 2).await;
    assert!(others[0].is_lost() && first.is_lost());
    assert_eq!(lost(&others), 1);
    assert!(honest.try_take().unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_keeps_the_pace_is_not_ended() {
    let budget = budget();
    let mut honest = budget.take(1, MIB);
    // A sender earns nothing with what it sends at once.
    honest.arrived(512 * KIB);
    let mut others = [2, 2, 3].map(|number| budget.wait(number, MIB));
    for _ in 0..8 {
        advance(Duration::from_millis(1250) / 5).await;
        honest.arrived(64 * KIB);
        assert!(!honest.is_lost());
    }
    // What is complete is not late.
    honest.complete(MIB).unwrap();
    advance(10 * LATE).await;
    assert!(others.iter_mut().all(|wait| wait.try_take().is_none()));
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_a_sender_starts_when_it_has_memory() {
    let budget = budget();
    let complete = budget.take(1, MIB).completed();
    let mut honest = budget.wait(2, MIB);
    advance(5 * LATE).await;
    drop(complete);
    let _other = budget.wait(3, MIB);
    let honest = honest.try_take().unwrap().unwrap();
    advance(LATE * 9 / 10).await;
    assert!(!honest.is_lost());
    advance(LATE).await;
    assert!(honest.is_lost());
}

#[tokio::test(start_paused = true)]
async fn the_address_with_the_fewest_bodies_is_next() {
    let budget = budget();
    let complete = budget.take(1, MIB).completed();
    let [mut first, mut second, mut third] = [2, 2, 3].map(|number| budget.wait(number, MIB));
    drop(complete);
    assert!(first.try_take().is_none() && second.try_take().is_none());
    drop(third.try_take().unwrap());
    assert!(second.try_take().is_none());
    assert!(first.try_take().unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_body_does_not_wait_for_smaller_ones_behind_it() {
    let budget = budget();
    let _complete = budget.take(1, 512 * KIB).completed();
    let small = budget.take(1, 512 * KIB).completed();
    let mut first = budget.wait(1, MIB - SMALL_BYTES);
    let mut second = budget.wait(1, 192 * KIB);
    drop(small);
    assert!(first.try_take().is_none() && second.try_take().is_none());
    drop(first);
    assert!(second.try_take().unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_sender_that_keeps_the_pace_does_not_fill_the_pool_of_others() {
    let budget = Budget::new(32 * MIB, 25 * MIB, &Gauge::default());
    // Each of these is as large as it may be, and none is late.
    let _paced = budget.take_all::<2>(1, 1194 * KIB);
    let _honest = budget.take_all::<8>(2, 100 * KIB);
    let _larger = budget.take_all::<8>(2, 3 * MIB);
}

#[tokio::test(start_paused = true)]
async fn much_memory_has_room_for_several_of_the_largest_bodies() {
    for (bytes, largest, number) in [(128, 25, 2), (32, 8, 2), (32, 25, 1), (1, 25, 1)] {
        let budget = Budget::new(bytes * MIB, largest * MIB, &Gauge::default());
        let _all: Vec<_> = (0..number).map(|_| budget.take(1, largest * MIB)).collect();
        let _next = budget.wait(1, largest * MIB);
        let _small = budget.take_all::<8>(1, SMALL_BYTES);
    }
}

#[tokio::test(start_paused = true)]
async fn the_number_of_bodies_that_wait_is_limited() {
    let budget = budget();
    let complete = budget.take(1, MIB).completed();
    let mut others: Vec<_> = (0..MAX_LARGE_WAITING)
        .map(|_| budget.wait(2, MIB))
        .collect();
    for _ in MAX_LARGE_WAITING..5000 {
        let reserved = budget.reserve(Some(source(2)), MIB).now_or_never();
        assert!(matches!(reserved, Some(Err(Lost))));
    }
    // Another address waits instead of the youngest body, and is first.
    let mut honest = budget.wait(1, MIB);
    let ended = others
        .iter_mut()
        .rposition(|wait| wait.try_take().is_some());
    assert_eq!(ended, Some(MAX_LARGE_WAITING - 1));
    drop(complete);
    assert!(honest.try_take().unwrap().is_ok());
}
