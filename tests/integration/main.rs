//! What must hold of the rooms together.
#![expect(
    clippy::unwrap_used,
    reason = "where a test cannot go on, it has failed"
)]

mod borders;
mod chart;
mod controller;
mod guests;
mod guide;
mod leader;
mod plugin_maps;
mod plugins;
mod receiver;
mod repeats;
mod tuning;
mod wit;
