//! Tests of polls.

use super::*;

const INTERVAL: Duration = Duration::from_mins(1);

/// A controller whose objects are on one remote: each object that is woken asks again, as its pass does.
struct Polled {
    lookups: Lookups<Servers>,
    woken: mpsc::UnboundedReceiver<ObjectKey>,
    intervals: HashMap<ObjectKey, Option<Duration>>,
}

impl Polled {
    async fn start(lookups: Lookups<Servers>, objects: &[(&str, Option<Duration>)]) -> Self {
        let woken = lookups.woken();
        let intervals = objects
            .iter()
            .map(|(name, interval)| (object(name), *interval))
            .collect();
        let polled = Self {
            lookups,
            woken,
            intervals,
        };
        for (name, _) in objects {
            polled.ask(name, Instant::now()).await;
        }
        polled
    }

    /// Asks as a pass of an object does, for an answer that is not older than a time.
    async fn ask(&self, name: &str, not_before: Instant) {
        let asked = Asked {
            not_before,
            interval: self.intervals[&object(name)],
            ..Asked::now(name, "h/r", "main")
        };
        asked.look_up(&self.lookups).await.unwrap();
    }

    /// Returns the next object that is woken, and the seconds since a time.
    async fn next(&mut self, since: Instant) -> (String, u64) {
        let woken = self.woken.recv().await.unwrap();
        (woken.name().to_owned(), since.elapsed().as_secs())
    }

    /// Asks as the pass of an object does that was woken for a poll.
    async fn poll(&self, name: &str) {
        let interval = self.intervals[&object(name)].unwrap();
        self.ask(name, Instant::now() - interval + Duration::from_nanos(1))
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_poll_wakes_one_object_and_they_take_turns() {
    let (servers, lookups) = Servers::start();
    let follows = Some(INTERVAL);
    let objects = [("b", follows), ("a", follows), ("c", None)];
    let mut polled = Polled::start(lookups, &objects).await;
    servers.conversations();
    for expected in ["a", "b", "a"] {
        let since = Instant::now();
        let (woken, seconds) = polled.next(since).await;
        assert_eq!(woken, expected);
        assert!((60..=66).contains(&seconds), "{seconds}");
        polled.poll(expected).await;
        assert_eq!(servers.conversations().len(), 1);
    }
    assert!(polled.woken.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_shortest_interval_decides() {
    let (_servers, lookups) = Servers::start();
    let objects = [
        ("a", Some(10 * INTERVAL)),
        ("b", Some(INTERVAL)),
        ("c", Some(10 * INTERVAL)),
    ];
    let mut polled = Polled::start(lookups, &objects).await;
    for _ in 0..3 {
        let (woken, seconds) = polled.next(Instant::now()).await;
        assert_eq!(woken, "b");
        assert!((60..=66).contains(&seconds), "{seconds}");
        polled.poll("b").await;
    }
    let since = Instant::now();
    polled.lookups.forget(&object("b"));
    let (woken, seconds) = polled.next(since).await;
    assert_eq!(woken, "c");
    assert!((600..=660).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn another_object_is_woken_if_the_pass_of_the_first_one_fails() {
    let (_servers, lookups) = Servers::start();
    let objects = [
        ("a", Some(INTERVAL)),
        ("b", Some(INTERVAL)),
        ("c", Some(2 * INTERVAL)),
    ];
    let mut polled = Polled::start(lookups, &objects).await;
    let since = Instant::now();
    assert_eq!(polled.next(since).await.0, "a");
    let first = Instant::now();
    assert_eq!(polled.next(first).await, ("b".to_owned(), 10));
    assert_eq!(polled.next(first).await, ("a".to_owned(), 20));
    // An object with a longer interval is woken once its own interval has passed.
    let mut others = HashSet::new();
    while since.elapsed() < 3 * INTERVAL {
        others.insert(polled.next(since).await.0);
    }
    assert_eq!(others.len(), 3);
    // A lookup that is under way is not interrupted.
    polled.poll("c").await;
    let (_, seconds) = polled.next(Instant::now()).await;
    assert!((60..=66).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn if_the_object_that_is_woken_leaves_the_remote_the_next_one_is_woken_at_once() {
    let (_servers, lookups) = Servers::start();
    let follows = Some(INTERVAL);
    let mut polled =
        Polled::start(lookups, &[("a", follows), ("b", follows), ("c", follows)]).await;
    assert_eq!(polled.next(Instant::now()).await.0, "a");
    let since = Instant::now();
    // Its token was replaced.
    let moved = Asked {
        remote: remote("h/other"),
        ..Asked::now("a", "h/r", "main")
    };
    moved.look_up(&polled.lookups).await.unwrap();
    assert_eq!(polled.next(since).await, ("b".to_owned(), 0));
    // Its Secret is missing.
    polled.lookups.forget(&object("b"));
    assert_eq!(polled.next(since).await, ("c".to_owned(), 0));
    polled.poll("c").await;
    polled.lookups.forget(&object("c"));
    assert!(polled.woken.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_woken_during_a_lookup_or_without_an_object_that_follows() {
    let (servers, lookups) = Servers::start();
    let mut polled = Polled::start(lookups, &[("a", Some(INTERVAL)), ("b", None)]).await;
    assert_eq!(polled.next(Instant::now()).await.0, "a");
    servers.set("h", Behaviour::NeverAnswers);
    let asked = Asked::now("a", "h/r", "main");
    assert!(asked.look_up(&polled.lookups).await.is_none());
    let silent = timeout(LONGEST / 2, polled.woken.recv()).await;
    assert!(silent.is_err());
    polled.lookups.forget(&object("a"));
    let silent = timeout(10 * INTERVAL, polled.woken.recv()).await;
    assert!(silent.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_timer_ends_with_the_lookups() {
    let (servers, lookups) = Servers::start();
    let polled = Polled::start(lookups, &[("a", Some(INTERVAL))]).await;
    drop(polled);
    assert_eq!(Arc::strong_count(&servers), 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_without_a_commit_is_not_woken_and_delays_no_other() {
    let (servers, lookups) = Servers::start();
    *servers.missing.lock().unwrap() = Some("gone");
    let mut polled = Polled::start(lookups, &[("z", Some(INTERVAL))]).await;
    let gone = |name: &str| Asked {
        interval: Some(INTERVAL),
        ..Asked::now(name, "h/r", "gone")
    };
    for number in 0..20 {
        let reply = gone(&format!("a{number}")).look_up(&polled.lookups).await;
        assert!(reply.unwrap().results[0].is_err());
    }
    for _ in 0..3 {
        let (woken, seconds) = polled.next(Instant::now()).await;
        assert_eq!(woken, "z");
        assert!((60..=66).contains(&seconds), "{seconds}");
        polled.poll("z").await;
    }
    polled.lookups.forget(&object("z"));
    let silent = timeout(10 * INTERVAL, polled.woken.recv()).await;
    assert!(silent.is_err());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_woken_while_the_host_is_not_to_be_asked() {
    let (servers, lookups) = Servers::start();
    let mut polled = Polled::start(lookups, &[("a", Some(INTERVAL))]).await;
    servers.set("h", Behaviour::AsksToWait(5 * INTERVAL));
    let other = Asked::now("other", "h/other", "main");
    assert!(other.look_up(&polled.lookups).await.unwrap().results[0].is_err());
    let (woken, seconds) = polled.next(Instant::now()).await;
    assert_eq!((woken.as_str(), seconds), ("a", 300));
}
