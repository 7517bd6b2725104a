//! Tests of hosts that do not answer.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_host_that_never_answers_delays_only_its_own_objects() {
    let (servers, lookups) = Servers::start();
    servers.set("hung", Behaviour::NeverAnswers);
    let mut waiting = JoinSet::new();
    for number in 0..100 {
        let asked = Asked::now(&format!("o{number}"), &format!("hung/r{number}"), "main");
        let lookups = lookups.clone();
        waiting.spawn(async move { asked.look_up(&lookups).await.is_none() });
    }
    let started = Instant::now();
    assert!(waiting.join_all().await.into_iter().all(|gave_up| gave_up));
    assert_eq!(started.elapsed(), PATIENCE);
    // The first ones, and those that took their places.
    assert!((3..=6).contains(&servers.conversations().len()));
    let healthy = Asked::now("healthy", "h/r", "main");
    assert_eq!(healthy.commit(&lookups).await, 'a');
    assert_eq!(healthy.not_before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn many_hosts_that_never_answer_delay_only_their_own_objects() {
    let (servers, lookups) = Servers::start();
    let mut waiting = JoinSet::new();
    for number in 0..500 {
        let host = format!("hung-{}", number / 5);
        servers.set(&host, Behaviour::NeverAnswers);
        let asked = Asked::now(&format!("o{number}"), &format!("{host}/r{number}"), "main");
        let lookups = lookups.clone();
        waiting.spawn(async move { asked.look_up(&lookups).await.is_none() });
    }
    assert!(waiting.join_all().await.into_iter().all(|gave_up| gave_up));
    sleep(10 * SECOND).await;
    let asked: HashSet<_> = servers.conversations().into_iter().collect();
    assert_eq!(asked.len(), 500);
    let healthy = Asked::now("healthy", "h/r", "main");
    assert_eq!(healthy.commit(&lookups).await, 'a');
    assert_eq!(healthy.not_before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_host_is_not_asked_for_each_of_its_repositories() {
    let (servers, lookups) = Servers::start();
    servers.set("h", Behaviour::IsUnreachable);
    let first = Asked::now("one", "h/one", "main");
    assert_eq!(first.error(&lookups).await, "cannot connect to h");
    let second = Asked::now("two", "h/two", "main");
    assert_eq!(
        second.error(&lookups).await,
        "h:443 is not asked for 5 s after an error"
    );
    assert_eq!(servers.conversations().len(), 1);
    let requested = Asked {
        is_requested: true,
        ..second
    };
    assert_eq!(requested.error(&lookups).await, "cannot connect to h");
    // The second error doubled the wait.
    sleep(10 * SECOND).await;
    servers.set("h", Behaviour::AnswersIn(Duration::ZERO));
    assert_eq!(
        Asked::now("one", "h/one", "main").commit(&lookups).await,
        'a'
    );
    assert_eq!(
        Asked::now("two", "h/two", "main").commit(&lookups).await,
        'a'
    );
}

#[tokio::test(start_paused = true)]
async fn one_silent_repository_does_not_stop_the_others_of_its_host() {
    let (servers, lookups) = Servers::start();
    servers.set("h", Behaviour::NeverAnswers);
    let silent = Asked::now("one", "h/one", "main");
    assert!(silent.look_up(&lookups).await.is_none());
    sleep(LONGEST).await;
    servers.set("h", Behaviour::AnswersIn(Duration::ZERO));
    assert_eq!(
        silent.error(&lookups).await,
        "the lookup of the ref did not end within 90 s"
    );
    assert_eq!(
        Asked::now("two", "h/two", "main").commit(&lookups).await,
        'a'
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_asks_for_a_short_time_is_asked_after_it_by_those_who_request() {
    let (servers, lookups) = Servers::start();
    servers.set("h", Behaviour::IsUnreachable);
    let requested = |name: &str| Asked {
        is_requested: true,
        ..Asked::now(name, &format!("h/{name}"), "main")
    };
    for name in ["one", "two", "three"] {
        requested(name).error(&lookups).await;
    }
    servers.set("h", Behaviour::AsksToWait(2 * SECOND));
    requested("four").error(&lookups).await;
    servers.set("h", Behaviour::AnswersIn(Duration::ZERO));
    let refused = requested("five").error(&lookups).await;
    assert_eq!(refused, "h:443 is not asked for 2 s after an error");
    sleep(2 * SECOND).await;
    let polled = Asked::now("six", "h/six", "main");
    let refused = polled.error(&lookups).await;
    assert_eq!(refused, "h:443 is not asked for 20 s after an error");
    assert_eq!(requested("five").commit(&lookups).await, 'a');
}

#[tokio::test(start_paused = true)]
async fn another_scheme_at_the_same_port_is_another_host() {
    let (servers, lookups) = Servers::start();
    servers.set("h", Behaviour::IsUnreachable);
    let secure = Asked::now("one", "h:8443/one", "main");
    assert_eq!(secure.error(&lookups).await, "cannot connect to h");
    let plain = Asked {
        remote: Remote::anonymous(RepoUrl::parse("http://h:8443/two").unwrap()),
        ..Asked::now("two", "h/two", "main")
    };
    assert_eq!(plain.error(&lookups).await, "cannot connect to h");
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_tls_is_one_of_its_remote() {
    let (servers, lookups) = Servers::start();
    servers.set("h/bad", Behaviour::IsNotTrusted);
    for _ in 0..5 {
        let bad = Asked::now("bad", "h/bad", "main");
        assert_eq!(bad.error(&lookups).await, "cannot connect to h");
        let good = Asked::now("good", "h/good", "main");
        assert_eq!(good.commit(&lookups).await, 'a');
        sleep(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn repositories_that_hang_are_no_failure_of_a_host_that_answers_others() {
    let (servers, lookups) = Servers::start();
    let known = || Asked::now("known", "h/known", "main");
    assert_eq!(known().commit(&lookups).await, 'a');
    for number in 0..10 {
        let name = format!("s{number}");
        servers.set(&format!("h/{name}"), Behaviour::NeverAnswers);
        let silent = Asked::now(&name, &format!("h/{name}"), "main");
        silent.look_up(&lookups).await;
    }
    sleep(10 * LONGEST).await;
    assert_eq!(known().commit(&lookups).await, 'a');
    // If nothing answers any more, it is one.
    sleep(SECOND).await;
    servers.set("h", Behaviour::NeverAnswers);
    assert!(known().look_up(&lookups).await.is_none());
    sleep(10 * LONGEST).await;
    for _ in 0..4 {
        known().look_up(&lookups).await;
        sleep(LONGEST).await;
    }
    assert!(lookups.host_wait(&object("known")).is_some());
}
