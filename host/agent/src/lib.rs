//! Brings the files of a published commit to a gateway's disk.

pub mod source;
pub mod sync;
