//! `stoker-agent`: brings the files of a published commit to a gateway's disk.
fn main() {}
