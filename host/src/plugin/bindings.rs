//! Where the types of the WIT end: one file for each released version, each turning them into the room's own.

pub(super) mod v0_1;
