//! Integration tests of the whole host.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod agent;
mod bans;
mod borders;
mod bounds;
mod chart;
mod commands;
mod controller;
mod definition;
mod gateways;
mod go_operator;
mod guests;
mod guide;
mod injection;
mod keys;
mod leader;
mod plugin_files;
mod plugin_maps;
mod plugins;
mod receiver;
mod repeats;
mod rules;
mod tuning;
mod wit;
