//! What must hold of the rooms together.

mod borders;
mod controller;
mod guests;
mod guide;
mod plugins;
mod receiver;
mod repeats;
mod wit;
