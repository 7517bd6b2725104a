mod hosts;
mod metrics;
mod places;
mod polls;
mod prefetch;

use std::collections::{HashMap, HashSet};
use std::io;

use stoker_api::detection::{CommitId, RepoUrl};
use stoker_git::{Credentials, GitError, RefKind, RefResult, Sensitive};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// What a server does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    AnswersIn(Duration),
    NeverAnswers,
    IsUnreachable,
    IsNotTrusted,
    AsksToWait(Duration),
    Panics,
}

/// Servers of repositories in which every ref exists. It records the conversations.
struct Servers {
    behaviour: Mutex<HashMap<String, Behaviour>>,
    commit: Mutex<char>,
    /// A ref that no repository has.
    missing: Mutex<Option<&'static str>>,
    conversations: Mutex<Vec<(String, Vec<String>)>>,
}

impl Servers {
    fn start() -> (Arc<Self>, Lookups<Self>) {
        Self::measured_by(LookupMetrics::default())
    }

    fn measured_by(metrics: LookupMetrics) -> (Arc<Self>, Lookups<Self>) {
        let servers = Arc::new(Self {
            behaviour: Mutex::default(),
            commit: Mutex::new('a'),
            missing: Mutex::default(),
            conversations: Mutex::default(),
        });
        (Arc::clone(&servers), Lookups::new(servers, metrics))
    }

    /// Sets what a host does, or a repository of it.
    fn set(&self, host: &str, behaviour: Behaviour) {
        let mut behaviours = self.behaviour.lock().unwrap();
        behaviours.insert(host.to_owned(), behaviour);
    }

    /// The repositories and refs that were asked for since the last call, with the refs sorted.
    fn conversations(&self) -> Vec<(String, Vec<String>)> {
        std::mem::take(&mut *self.conversations.lock().unwrap())
    }
}

impl RefSource for Servers {
    async fn resolve(&self, remote: &Remote, refs: &[GitRef]) -> Result<Vec<RefResult>, GitError> {
        let url = remote.url().url();
        let host = url.host_str().unwrap();
        let mut names: Vec<_> = refs.iter().map(GitRef::to_string).collect();
        names.sort();
        let repository = format!("{host}{}", url.path());
        let behaviour = {
            let behaviours = self.behaviour.lock().unwrap();
            let own = behaviours.get(&repository);
            own.or_else(|| behaviours.get(host)).copied()
        };
        self.conversations.lock().unwrap().push((repository, names));
        match behaviour {
            Some(Behaviour::AnswersIn(delay)) => sleep(delay).await,
            Some(Behaviour::NeverAnswers) => std::future::pending().await,
            Some(Behaviour::IsUnreachable) => {
                return Err(GitError::Unreachable {
                    host: host.to_owned(),
                    source: io::Error::from(io::ErrorKind::ConnectionRefused).into(),
                });
            }
            Some(Behaviour::IsNotTrusted) => {
                return Err(GitError::Tls {
                    host: host.to_owned(),
                    source: "the authority is not trusted".into(),
                });
            }
            Some(Behaviour::AsksToWait(wait)) => {
                return Err(GitError::Status {
                    status: 429,
                    retry_after: Some(wait),
                    text: String::new(),
                });
            }
            Some(Behaviour::Panics) => panic!("a defect"),
            None => {}
        }
        let commit = self.commit.lock().unwrap().to_string().repeat(40);
        let commit = CommitId::parse(&commit).unwrap();
        let resolved = ResolvedRef::new(commit, RefKind::Branch);
        let missing = *self.missing.lock().unwrap();
        let result = |git_ref: &GitRef| -> RefResult {
            if missing == Some(git_ref.as_str()) {
                Err(GitError::RefNotFound {
                    url: url.to_string(),
                    git_ref: git_ref.clone(),
                })
            } else {
                Ok(resolved.clone())
            }
        };
        Ok(refs.iter().map(result).collect())
    }
}

fn object(name: &str) -> ObjectKey {
    ObjectKey::new("edge", name).unwrap()
}

fn git_ref(text: &str) -> GitRef {
    GitRef::parse(text).unwrap()
}

fn remote(url: &str) -> Remote {
    Remote::anonymous(RepoUrl::parse(&format!("https://{url}")).unwrap())
}

/// One question of an object that follows a branch.
#[derive(Clone)]
struct Asked {
    object: ObjectKey,
    remote: Remote,
    refs: Vec<GitRef>,
    not_before: Instant,
    is_requested: bool,
    interval: Option<Duration>,
}

impl Asked {
    fn now(name: &str, url: &str, refs: &str) -> Self {
        Self {
            object: object(name),
            remote: remote(url),
            refs: vec![git_ref(refs)],
            not_before: Instant::now(),
            is_requested: false,
            interval: Some(Duration::from_mins(1)),
        }
    }

    async fn look_up(&self, lookups: &Lookups<Servers>) -> Option<Reply> {
        let question = Question {
            object: &self.object,
            remote: &self.remote,
            refs: &self.refs,
            not_before: self.not_before,
            is_requested: self.is_requested,
            interval: self.interval,
        };
        lookups.look_up(question).await
    }

    async fn commit(&self, lookups: &Lookups<Servers>) -> char {
        let reply = self.look_up(lookups).await.unwrap();
        let commit = reply.results[0].as_ref().unwrap().commit().to_string();
        commit.chars().next().unwrap()
    }

    async fn error(&self, lookups: &Lookups<Servers>) -> String {
        let reply = self.look_up(lookups).await.unwrap();
        reply.results[0].as_ref().unwrap_err().to_string()
    }
}

fn conversation(url: &str, refs: &[&str]) -> (String, Vec<String>) {
    let refs = refs.iter().map(|text| (*text).to_owned()).collect();
    (url.to_owned(), refs)
}

#[tokio::test(start_paused = true)]
async fn the_objects_on_a_remote_share_one_conversation_for_all_refs() {
    let (servers, lookups) = Servers::start();
    let (one, two) = (
        Asked::now("one", "h/r", "main"),
        Asked::now("two", "h/r", "dev"),
    );
    let three = Asked::now("three", "h/r", "main");
    let found = tokio::join!(
        one.commit(&lookups),
        two.commit(&lookups),
        three.commit(&lookups)
    );
    assert_eq!(found, ('a', 'a', 'a'));
    assert_eq!(
        servers.conversations(),
        [conversation("h/r", &["dev", "main"])]
    );
    // A later question of one object serves all as well.
    sleep(SECOND).await;
    let again = |asked: Asked| Asked {
        not_before: Instant::now(),
        ..asked
    };
    again(two).commit(&lookups).await;
    let recent = Asked {
        not_before: Instant::now(),
        ..one
    };
    assert_eq!(recent.commit(&lookups).await, 'a');
    assert_eq!(
        servers.conversations(),
        [conversation("h/r", &["dev", "main"])]
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_gets_a_lookup_that_began_after_it() {
    let (servers, lookups) = Servers::start();
    servers.set("h", Behaviour::AnswersIn(SECOND / 2));
    let first = Asked::now("one", "h/r", "main");
    let polling = {
        let (first, lookups) = (first.clone(), lookups.clone());
        tokio::spawn(async move { first.look_up(&lookups).await.unwrap().began })
    };
    sleep(SECOND / 10).await;
    *servers.commit.lock().unwrap() = 'b';
    // Two webhooks that arrive during the lookup share the next one.
    let (one, two) = (
        Asked::now("one", "h/r", "main"),
        Asked::now("two", "h/r", "main"),
    );
    let (one, two) = tokio::join!(one.look_up(&lookups), two.look_up(&lookups));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.began, two.began);
    assert_eq!(one.began - first.not_before, SECOND / 2);
    assert_eq!(polling.await.unwrap(), first.not_before);
    assert_eq!(servers.conversations().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn other_credentials_are_another_remote() {
    let (servers, lookups) = Servers::start();
    let url = RepoUrl::parse("https://h/r").unwrap();
    let mut names = HashSet::new();
    for token in ["one", "two"] {
        let credentials = Credentials::Token(Sensitive::new(token));
        let asked = Asked {
            remote: Remote::new(url.clone(), credentials),
            ..Asked::now(token, "h/r", "main")
        };
        asked.commit(&lookups).await;
        names.insert(RemoteId::of(&asked.remote));
    }
    assert_eq!(servers.conversations().len(), 2);
    assert_eq!(names.len(), 2);
    assert_eq!(RemoteId::of(&remote("h/r")), RemoteId::of(&remote("h/r")));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_did_not_wait_is_woken_by_the_answer() {
    let (servers, lookups) = Servers::start();
    let mut woken = lookups.woken();
    servers.set("h", Behaviour::AnswersIn(5 * SECOND));
    let asked = Asked::now("one", "h/r", "main");
    assert!(asked.look_up(&lookups).await.is_none());
    assert!(woken.try_recv().is_err());
    assert_eq!(woken.recv().await, Some(object("one")));
    assert_eq!(asked.not_before.elapsed(), 5 * SECOND);
    assert_eq!(asked.commit(&lookups).await, 'a');
    assert_eq!(servers.conversations().len(), 1);
    sleep(30 * SECOND).await;
    assert!(woken.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn news_wakes_the_objects_that_follow_their_ref() {
    let (servers, lookups) = Servers::start();
    let mut woken = lookups.woken();
    let follower = Asked::now("follower", "h/r", "main");
    let bystander = Asked {
        interval: None,
        ..Asked::now("bystander", "h/r", "main")
    };
    let poller = Asked::now("poller", "h/r", "main");
    for asked in [&follower, &bystander, &poller] {
        asked.commit(&lookups).await;
    }
    let poll = async || {
        sleep(SECOND).await;
        Asked::now("poller", "h/r", "main").look_up(&lookups).await
    };
    poll().await;
    assert!(woken.try_recv().is_err(), "there was no news");
    *servers.commit.lock().unwrap() = 'b';
    poll().await;
    assert_eq!(woken.recv().await, Some(object("follower")));
    servers.set("h", Behaviour::IsUnreachable);
    poll().await;
    assert_eq!(woken.recv().await, Some(object("follower")));
    assert!(woken.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_one_lookup_only() {
    let (servers, lookups) = Servers::start();
    servers.set("h", Behaviour::Panics);
    let asked = Asked::now("one", "h/r", "main");
    assert_eq!(
        asked.error(&lookups).await,
        "the lookup of the ref was aborted"
    );
    servers.set("h", Behaviour::AnswersIn(Duration::ZERO));
    sleep(SECOND).await;
    assert_eq!(Asked::now("one", "h/r", "main").commit(&lookups).await, 'a');
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_objects_that_are_gone() {
    let (servers, lookups) = Servers::start();
    for (name, url) in [("one", "h/one"), ("two", "h/two"), ("one", "h/two")] {
        Asked::now(name, url, "main").commit(&lookups).await;
    }
    assert_eq!(lookups.0.lock().remotes.len(), 1);
    lookups.forget(&object("one"));
    lookups.forget(&object("two"));
    servers.set("hung", Behaviour::NeverAnswers);
    let hung = Asked::now("three", "hung/r", "main");
    assert!(hung.look_up(&lookups).await.is_none());
    lookups.forget(&object("three"));
    sleep(2 * LONGEST).await;
    let state = lookups.0.lock();
    assert!(state.remotes.is_empty() && state.objects.is_empty() && state.hosts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_was_cleared_has_no_effect() {
    let (servers, lookups) = Servers::start();
    servers.set("h", Behaviour::AnswersIn(5 * SECOND));
    let asked = Asked::now("one", "h/r", "main");
    assert!(asked.look_up(&lookups).await.is_none());
    lookups.clear();
    let mut woken = lookups.woken();
    let again = Asked::now("one", "h/r", "main");
    assert!(again.look_up(&lookups).await.is_none());
    assert_eq!(woken.recv().await, Some(object("one")));
    assert_eq!(again.not_before.elapsed(), 5 * SECOND);
    assert_eq!(servers.conversations().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_objects_on_fifty_remotes_are_fifty_lookups_a_minute() {
    const INTERVAL: Duration = Duration::from_mins(1);
    let (servers, lookups) = Servers::start();
    let end = Instant::now() + 10 * INTERVAL - SECOND;
    let mut objects = JoinSet::new();
    for number in 0..10_000 {
        let lookups = lookups.clone();
        objects.spawn(async move {
            let mut asked = Asked::now(
                &format!("o{number}"),
                &format!("h/r{}", number % 50),
                "main",
            );
            while Instant::now() < end {
                let reply = asked.look_up(&lookups).await.unwrap();
                sleep(INTERVAL.saturating_sub(reply.began.elapsed())).await;
                asked.not_before = Instant::now() - INTERVAL + Duration::from_nanos(1);
            }
        });
    }
    objects.join_all().await;
    assert_eq!(servers.conversations().len(), 50 * 10);
}
