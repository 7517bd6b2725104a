//! The order in which the credentials of a remote are sent.
//!
//! A token can be the password of the user of the address, or this user itself. Servers lock an account, or the address
//! of the client, after several failed logins within minutes. A lookup is made at each poll, so what the server answered
//! decides whether this user is sent, and in which order.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::authorization::Authorization;
use super::cache::CAPACITY;
use super::error::GitError;
use super::lock::lock;
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
enum Turn {
    /// The user precedes the configured credentials.
    First,
    /// The user is sent if the server refuses the configured credentials.
    Next,
    /// The user is omitted.
    Never,
}

/// Which credentials of a remote are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    /// Those that the remote has.
    Configured,
    /// The user of its address: with its token as the password, or without a password.
    User,
}

impl Login {
    /// Returns whether the next credentials are sent after an error. A server that knows the user of an address may
    /// still not permit this user to read the repository.
    pub(super) fn is_refused(self, error: &GitError) -> bool {
        match self {
            Self::Configured => error.is_unauthorized(),
            Self::User => error.is_denied(),
        }
    }

    /// Returns the error to report for these credentials and those that were refused before. The answer to a user that
    /// the server knows precedes the one to the configured credentials.
    pub(super) fn refusal(self, error: GitError, before: Option<GitError>) -> GitError {
        match before {
            Some(before) if !before.is_unauthorized() => before,
            Some(before) if self == Self::User && error.is_unauthorized() => before,
            _ => error,
        }
    }
}

/// The last answers, by address and credentials. Only hashes are kept.
#[derive(Debug, Default)]
pub(super) struct UserLogins {
    hasher: RandomState,
    answers: Mutex<HashMap<u64, Answer>>,
}

impl UserLogins {
    /// Returns the credentials of a remote, in the order in which they are sent. There is at least one.
    ///
    /// # Errors
    ///
    /// Fails if the credentials cannot be used for the address.
    pub(super) fn logins(
        &self,
        remote: &Remote,
        now: Instant,
    ) -> Result<Vec<(Login, Authorization)>, GitError> {
        let mut logins = vec![(Login::Configured, Authorization::of(remote)?)];
        if let Some(user) = Authorization::as_user(remote)? {
            match self.turn(remote, now) {
                Turn::First => logins.insert(0, (Login::User, user)),
                Turn::Next => logins.push((Login::User, user)),
                Turn::Never => {}
            }
        }
        Ok(logins)
    }

    /// Stores what the server answered.
    pub(super) fn record<T>(
        &self,
        remote: &Remote,
        login: Login,
        outcome: &Result<T, GitError>,
        now: Instant,
    ) {
        match (login, outcome) {
            (Login::User, Ok(_)) => self.insert(remote, Answer::Accepted),
            (Login::User, Err(error)) if error.is_unauthorized() => self.refuse(remote, now),
            _ => {}
        }
    }

    fn turn(&self, remote: &Remote, now: Instant) -> Turn {
        match lock(&self.answers).get(&self.hasher.hash_one(remote)) {
            Some(Answer::Accepted) => Turn::First,
            Some(Answer::Refused { at }) if now.saturating_duration_since(*at) < PAUSE => {
                Turn::Never
            }
            Some(Answer::Refused { .. }) | None => Turn::Next,
        }
    }

    /// Stores that the server refused the user. A server that accepted the user before is asked once more, because some
    /// servers also refuse credentials while they are overloaded.
    fn refuse(&self, remote: &Remote, now: Instant) {
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
        logins.record(&remote("a"), Login::User, &Ok(()), now);
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
            logins.insert(&remote(&index.to_string()), Answer::Accepted);
        }
        assert_eq!(lock(&logins.answers).len(), 1);
    }
}
