//! The types of the WIT: one file for each released version, each converting them to the plain types of this module.

pub(super) mod v0_1;
