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
    assert_eq!(servers.conversations().len(), 3);
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
    sleep(2 * SECOND).await;
    // Three of the five repositories of each host.
    assert_eq!(servers.conversations().len(), 300);
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
        "h:443 is not asked again for 5 s, after an error"
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
async fn silent_repositories_leave_places_for_the_others_of_their_host() {
    let (servers, lookups) = Servers::start();
    let requested = |name: &str| Asked {
        is_requested: true,
        ..Asked::now(name, &format!("h/{name}"), "main")
    };
    assert_eq!(requested("known").commit(&lookups).await, 'a');
    let silent = ["s0", "s1", "s2", "s3", "s4", "s5"];
    for name in silent {
        servers.set(&format!("h/{name}"), Behaviour::NeverAnswers);
    }
    // First nothing is known of these repositories, and later that they did not answer.
    for _ in 0..4 {
        let mut waiting = JoinSet::new();
        for name in silent {
            let (asked, lookups) = (requested(name), lookups.clone());
            waiting.spawn(async move { asked.look_up(&lookups).await.is_none() });
        }
        waiting.join_all().await;
        let healthy = requested("known");
        assert_eq!(healthy.commit(&lookups).await, 'a');
        assert_eq!(healthy.not_before.elapsed(), Duration::ZERO);
        sleep(LONGEST).await;
    }
    for name in silent {
        requested(name).look_up(&lookups).await;
    }
    let new = requested("new");
    assert_eq!(new.commit(&lookups).await, 'a');
    assert_eq!(new.not_before.elapsed(), Duration::ZERO);
}
