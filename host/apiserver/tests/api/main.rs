//! Tests of the server with an ordinary Kubernetes client.

#![allow(
    clippy::expect_used,
    reason = "a test that cannot go on stops and says why"
)]

mod apply;
mod deletion;
mod discovery;
mod faults;
mod patches;
mod support;
mod validation;
mod watches;
mod webhooks;
mod writes;
