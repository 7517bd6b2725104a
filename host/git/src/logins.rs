//! What servers answered to a token that was sent as the password of the user of an address.
//!
//! Servers lock an account, or the address of the client, after several failed logins within minutes. A lookup is made at
//! each poll, so what the server answered decides whether the token is sent for this user, and in which order.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::cache::{CAPACITY, lock};
use super::remote::Remote;

/// The time for which a refused login is not repeated.
const PAUSE: Duration = Duration::from_mins(10);

/// The answer of a server to the last login of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Accepted,
    Refused { at: Instant },
}

/// What to do with the user of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The user precedes the other credentials.
    First,
    /// The user is tried if the server refuses the other credentials.
    Next,
    /// The user is omitted.
    Never,
}

/// The last answers, by address and credentials. Only hashes are kept.
#[derive(Debug, Default)]
pub(super) struct UserLogins {
    hasher: RandomState,
    answers: Mutex<HashMap<u64, Answer>>,
}

impl UserLogins {
    /// Returns what to do with the user of the address of a remote.
    pub(super) fn turn(&self, remote: &Remote, now: Instant) -> Turn {
        match lock(&self.answers).get(&self.hasher.hash_one(remote)) {
            Some(Answer::Accepted) => Turn::First,
            Some(Answer::Refused { at }) if now.saturating_duration_since(*at) < PAUSE => {
                Turn::Never
            }
            Some(Answer::Refused { .. }) | None => Turn::Next,
        }
    }

    /// Stores that the server accepted the user.
    pub(super) fn accept(&self, remote: &Remote) {
        self.insert(remote, Answer::Accepted);
    }

    /// Stores that the server refused the user. A server that accepted the user before is asked once more, because some
    /// servers also refuse credentials while they are overloaded.
    pub(super) fn refuse(&self, remote: &Remote, now: Instant) {
        match self.turn(remote, now) {
            Turn::First => {
                lock(&self.answers).remove(&self.hasher.hash_one(remote));
            }
            Turn::Next | Turn::Never => self.insert(remote, Answer::Refused { at: now }),
        }
    }

    fn insert(&self, remote: &Remote, answer: Answer) {
        let mut answers = lock(&self.answers);
        if answers.len() >= CAPACITY {
            answers.clear();
        }
        answers.insert(self.hasher.hash_one(remote), answer);
    }
}

#[cfg(test)]
mod tests {
    use stoker_api::detection::RepoUrl;

    use super::super::remote::{Credentials, Sensitive};
    use super::*;

    fn remote(token: &str) -> Remote {
        let url = RepoUrl::parse("https://deploy-7@h/o/r.git").unwrap();
        Remote::new(url, Credentials::Token(Sensitive::new(token)))
    }

    #[test]
    fn an_accepted_user_is_first_until_it_is_refused() {
        let (logins, now) = (UserLogins::default(), Instant::now());
        assert_eq!(logins.turn(&remote("a"), now), Turn::Next);
        logins.accept(&remote("a"));
        assert_eq!(logins.turn(&remote("a"), now), Turn::First);
        assert_eq!(logins.turn(&remote("b"), now), Turn::Next);
        logins.refuse(&remote("a"), now);
        assert_eq!(logins.turn(&remote("a"), now), Turn::Next);
    }

    #[test]
    fn a_refused_user_is_omitted_for_a_time() {
        let (logins, now) = (UserLogins::default(), Instant::now());
        logins.refuse(&remote("a"), now);
        assert_eq!(logins.turn(&remote("a"), now), Turn::Never);
        assert_eq!(logins.turn(&remote("b"), now), Turn::Next);
        let soon = now + Duration::from_secs(599);
        assert_eq!(logins.turn(&remote("a"), soon), Turn::Never);
        assert_eq!(logins.turn(&remote("a"), now + PAUSE), Turn::Next);
    }

    #[test]
    fn the_answers_are_bounded() {
        let logins = UserLogins::default();
        for index in 0..=CAPACITY {
            logins.accept(&remote(&index.to_string()));
        }
        assert_eq!(lock(&logins.answers).len(), 1);
    }
}
