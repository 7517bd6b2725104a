//! One sync: from the files of a commit and a profile to the files of a gateway.
