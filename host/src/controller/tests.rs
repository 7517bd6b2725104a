//! Whole passes between an API server and a repository for tests: what is asked, what is written, when the next is due.

mod fake_api;
pub(super) mod fixture;

mod deletion;
mod passes;
mod requests;
mod running;
mod secrets;
mod status;
