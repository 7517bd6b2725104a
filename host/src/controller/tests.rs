//! Tests of whole passes, with an API server and a repository for tests: the lookups, the writes, and the next pass.

mod fake_api;
pub(super) mod fixture;

mod annotated;
mod announced;
mod config_maps;
mod credentials;
mod definition;
mod deletion;
mod gateways;
mod passes;
mod pauses;
mod requests;
mod running;
mod secrets;
mod skew;
mod status;
