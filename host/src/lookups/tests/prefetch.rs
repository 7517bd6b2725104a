//! Tests of lookups during the write of their request.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_request_is_looked_up_while_it_is_written() {
    let (servers, lookups) = Servers::start();
    Asked::now("one", "h/r", "main").commit(&lookups).await;
    servers.conversations();
    sleep(SECOND).await;
    *servers.commit.lock().unwrap() = 'b';
    servers.set("h", Behaviour::AnswersIn(SECOND / 2));
    lookups.prefetch(&object("one"), &git_ref("v1"), "t1");
    lookups.prefetch(&object("unknown"), &git_ref("v1"), "t1");
    sleep(SECOND / 10).await;
    let arrival = |git_ref_text, at| {
        let git_ref = git_ref(git_ref_text);
        lookups.take_prefetch(&object("one"), &git_ref, at)
    };
    assert_eq!(arrival("v1", "t2"), None);
    assert_eq!(arrival("main", "t1"), None, "the request was removed");
    let arrived = arrival("v1", "t1").unwrap();
    assert_eq!(arrived.elapsed(), SECOND / 10);
    assert_eq!(
        arrival("v1", "t1"),
        None,
        "a later change needs a newer lookup"
    );
    let asked = Asked {
        refs: vec![git_ref("v1"), git_ref("1")],
        not_before: arrived,
        ..Asked::now("one", "h/r", "v1")
    };
    assert_eq!(asked.commit(&lookups).await, 'b');
    assert_eq!(arrived.elapsed(), SECOND / 2);
    assert_eq!(
        servers.conversations(),
        [conversation("h/r", &["1", "main", "v1"])]
    );
    // One that arrives during a lookup is looked up after it.
    lookups.prefetch(&object("one"), &git_ref("v2"), "t2");
    sleep(SECOND / 10).await;
    lookups.prefetch(&object("one"), &git_ref("v3"), "t3");
    sleep(2 * SECOND).await;
    let refs: Vec<_> = servers
        .conversations()
        .into_iter()
        .map(|(_, refs)| refs)
        .collect();
    assert_eq!(refs, [["1", "2", "v1", "v2"], ["1", "3", "v1", "v3"]]);
}

#[tokio::test(start_paused = true)]
async fn a_remote_with_credentials_is_not_looked_up_without_them() {
    let (servers, lookups) = Servers::start();
    let credentials = Credentials::Token(Sensitive::new("token"));
    let url = RepoUrl::parse("https://h/r").unwrap();
    let asked = Asked {
        remote: Remote::new(url, credentials),
        ..Asked::now("one", "h/r", "main")
    };
    asked.commit(&lookups).await;
    lookups.prefetch(&object("one"), &git_ref("v1"), "t1");
    sleep(SECOND).await;
    assert_eq!(servers.conversations().len(), 1);
    let arrived = lookups.take_prefetch(&object("one"), &git_ref("v1"), "t1");
    assert_eq!(arrived, None);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_asks_to_wait_is_not_asked_by_requests_either() {
    let (servers, lookups) = Servers::start();
    servers.set("h", Behaviour::AsksToWait(30 * SECOND));
    let error = Asked::now("one", "h/one", "main").error(&lookups).await;
    assert_eq!(
        error,
        "the git server answered with HTTP status 429 and asks to wait for 30 s"
    );
    servers.conversations();
    sleep(29 * SECOND).await;
    let requested = Asked {
        is_requested: true,
        ..Asked::now("two", "h/two", "main")
    };
    assert_eq!(
        requested.error(&lookups).await,
        "h:443 is not asked for 30 s after an error"
    );
    assert!(servers.conversations().is_empty());
    servers.set("h", Behaviour::AnswersIn(Duration::ZERO));
    sleep(SECOND).await;
    assert_eq!(requested.commit(&lookups).await, 'a');
}
