use alloc::string::String;
use alloc::vec::Vec;

use crate::{Detection, Kind, Malformed, Outcome, Request};

/// What became of one ref in a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new, or points elsewhere.
    Set(Detection),
    /// There is none of this name any more.
    Deleted(String),
}

/// What a push announces that lists its changes: each ref that it set. A push that set none is ignored.
///
/// `list` is the JSON pointer to the array, and `change` says what became of the ref at an index of it. A list that is
/// missing, or not an array, is malformed.
pub fn changes<R: Request>(
    request: &R,
    list: &str,
    change: impl Fn(&R, u32) -> Result<Change, Malformed>,
) -> Result<Outcome, Malformed> {
    match request.kind_at(list) {
        Some(Kind::Array) => {}
        Some(_) => return Err(Malformed::at(list, "is not an array")),
        None => return Err(Malformed::at(list, "is missing")),
    }
    let (mut set, mut deleted) = (Vec::new(), None);
    for index in 0..request.len_at(list).unwrap_or_default() {
        match change(request, index)? {
            Change::Set(detection) => set.push(detection),
            Change::Deleted(name) => deleted = deleted.or(Some(name)),
        }
    }
    Ok(match deleted {
        _ if !set.is_empty() => Outcome::Found(set),
        Some(name) => Outcome::ignored(&[&name, " was deleted"]),
        None => Outcome::ignored(&["the push has no changes"]),
    })
}
