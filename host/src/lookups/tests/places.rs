//! Tests of the places for conversations with one host.

use super::*;

/// Asks for many repositories of the host `h` that never answer.
async fn hang(servers: &Servers, lookups: &Lookups<Servers>, number: usize) {
    let mut waiting = JoinSet::new();
    for number in 0..number {
        let name = format!("s{number}");
        servers.set(&format!("h/{name}"), Behaviour::NeverAnswers);
        let asked = Asked {
            is_requested: true,
            ..Asked::now(&name, &format!("h/{name}"), "main")
        };
        let lookups = lookups.clone();
        waiting.spawn(async move { asked.look_up(&lookups).await.is_none() });
    }
    assert!(waiting.join_all().await.into_iter().all(|gave_up| gave_up));
}

/// Waits until an object has a commit, and returns the seconds.
async fn seconds(lookups: &Lookups<Servers>, asked: &Asked) -> u64 {
    while asked.look_up(lookups).await.is_none() {}
    asked.commit(lookups).await;
    asked.not_before.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn many_new_repositories_that_hang_delay_other_new_ones_only_for_a_moment() {
    let (servers, lookups) = Servers::start();
    hang(&servers, &lookups, 40).await;
    for name in ["one", "two", "three", "four", "five"] {
        let healthy = Asked {
            is_requested: true,
            ..Asked::now(name, &format!("h/{name}"), "main")
        };
        assert!(seconds(&lookups, &healthy).await < 20);
    }
    // Most of the others are asked again, two at a time, to the end.
    servers.conversations();
    sleep(30 * LONGEST).await;
    let asked: HashSet<_> = servers.conversations().into_iter().collect();
    assert!(asked.len() >= 35, "{}", asked.len());
    // They do not delay polls.
    let poll = Asked::now("one", "h/one", "main");
    assert_eq!(seconds(&lookups, &poll).await, 0);
}

#[tokio::test(start_paused = true)]
async fn known_repositories_that_begin_to_hang_delay_the_others_for_a_few_seconds() {
    let (servers, lookups) = Servers::start();
    let names = ["a", "b", "c", "d", "healthy"];
    let now = |name: &str| Asked::now(name, &format!("h/{name}"), "main");
    for name in names {
        now(name).commit(&lookups).await;
    }
    sleep(SECOND).await;
    for name in &names[..4] {
        servers.set(&format!("h/{name}"), Behaviour::NeverAnswers);
        assert!(now(name).look_up(&lookups).await.is_none());
    }
    assert!(seconds(&lookups, &now("healthy")).await < 6);
    sleep(SECOND).await;
    assert_eq!(seconds(&lookups, &now("healthy")).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_repository_keeps_its_conversation_if_nobody_waits() {
    let (servers, lookups) = Servers::start();
    servers.set("h", Behaviour::AnswersIn(20 * SECOND));
    let slow = Asked::now("slow", "h/slow", "main");
    assert_eq!(seconds(&lookups, &slow).await, 20);
    assert_eq!(servers.conversations().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_first_lookup_does_not_wait_for_the_end_of_a_wait_that_began_before_its_turn() {
    let (servers, lookups) = Servers::start();
    servers.set("h", Behaviour::AnswersIn(SECOND / 4));
    let requested = |number: usize| Asked {
        is_requested: true,
        ..Asked::now(&format!("o{number}"), &format!("h/r{number}"), "main")
    };
    servers.set("h/down", Behaviour::IsUnreachable);
    let down = Asked {
        is_requested: true,
        ..Asked::now("down", "h/down", "main")
    };
    let mut waiting = JoinSet::new();
    // Three take the places, and one fails when its turn comes. The last ones find the host in its wait.
    for asked in [
        requested(0),
        requested(1),
        requested(2),
        down,
        requested(3),
        requested(4),
        requested(5),
    ] {
        let lookups = lookups.clone();
        waiting.spawn(async move { (asked.object.clone(), asked.look_up(&lookups).await) });
    }
    for (asked, reply) in waiting.join_all().await {
        let is_found = reply.unwrap().results[0].is_ok();
        assert_eq!(is_found, asked != object("down"), "{asked}");
    }
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
