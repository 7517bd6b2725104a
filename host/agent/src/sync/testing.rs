//! Repositories and gateways for the tests.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use stoker_git::{ObjectId, TreeEntry, TreeEntryKind};

use super::{
    Applied, ApplyError, Context, Live, Outcome, Plan, PlanError, Profile, Profiles, apply, plan,
};
use crate::source::{Source, SourceError};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    File(Vec<u8>, bool),
    Link(String),
    Directory,
    Submodule,
    /// An entry whose name is not UTF-8.
    NotUtf8,
}

pub(super) type Tree = BTreeMap<String, Node>;

pub(super) fn file(content: &str) -> Node {
    Node::File(content.as_bytes().to_vec(), false)
}

/// A repository in memory.
pub(super) struct Repository(pub(super) Tree);

impl Source for Repository {
    fn entries(&self) -> Result<Vec<TreeEntry>, SourceError> {
        let entries = self.0.iter().map(|(path, node)| TreeEntry {
            path: path.clone(),
            kind: match node {
                Node::File(_, false) => TreeEntryKind::File,
                Node::File(_, true) => TreeEntryKind::Executable,
                Node::Link(_) => TreeEntryKind::Symlink,
                Node::Submodule | Node::Directory => TreeEntryKind::Submodule,
                Node::NotUtf8 => TreeEntryKind::NotUtf8,
            },
            id: match node {
                Node::File(content, _) => ObjectId::Sha256(Sha256::digest(content).into()),
                _ => ObjectId::Sha256([0; 32]),
            },
        });
        Ok(entries.collect())
    }

    fn size(&self, entry: &TreeEntry) -> Result<u64, SourceError> {
        self.read(entry).map(|content| content.len() as u64)
    }

    fn read(&self, entry: &TreeEntry) -> Result<Vec<u8>, SourceError> {
        match self.0.get(&entry.path) {
            Some(Node::File(content, _)) => Ok(content.clone()),
            _ => Err(SourceError(format!("{} is not a file", entry.path).into())),
        }
    }
}

pub(super) fn context() -> Context {
    Context {
        gateway_name: "blue".to_owned(),
        git_ref: "main".to_owned(),
        pod_ordinal: 2,
        ..Context::default()
    }
}

pub(super) fn profile(fields: &serde_json::Value) -> Profile {
    let text = json!({ "p": fields }).to_string();
    Profiles::parse(&text).get("p").unwrap().clone()
}

/// Writes a tree to the disk.
pub(super) fn write(tree: &Tree, directory: &Path) {
    for (path, node) in tree {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match node {
            Node::Directory => fs::create_dir_all(&path).unwrap(),
            Node::Link(target) => symlink(target, &path).unwrap(),
            Node::Submodule | Node::NotUtf8 => panic!("a gateway has no such files"),
            Node::File(content, is_executable) => {
                fs::write(&path, content).unwrap();
                let mode = if *is_executable { 0o755 } else { 0o644 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
    }
}

/// Reads a tree from the disk. Directories are listed only if they are empty.
pub(super) fn read(directory: &Path) -> Tree {
    let mut tree = Tree::new();
    read_below(directory, "", &mut tree);
    tree
}

fn read_below(directory: &Path, prefix: &str, tree: &mut Tree) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        let node = if kind.is_symlink() {
            Node::Link(
                fs::read_link(entry.path())
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            )
        } else if kind.is_dir() {
            let before = tree.len();
            read_below(&entry.path(), &format!("{path}/"), tree);
            if tree.len() > before {
                continue;
            }
            Node::Directory
        } else {
            let mode = entry.metadata().unwrap().permissions().mode();
            Node::File(fs::read(entry.path()).unwrap(), mode & 0o100 != 0)
        };
        tree.insert(path, node);
    }
}

pub(super) fn make_plan(
    source: &Repository,
    profile: &Profile,
    data: &Path,
    applied: &Applied,
) -> Result<Plan, PlanError> {
    let context = Context {
        vars: profile.vars().clone(),
        ..context()
    };
    plan(
        source,
        profile,
        &context,
        Live::read(data, applied.clone()).unwrap(),
    )
}

/// Plans and applies.
pub(super) fn sync(
    source: &Repository,
    profile: &Profile,
    data: &Path,
    applied: &mut Applied,
) -> Result<Outcome, ApplyError> {
    let plan = make_plan(source, profile, data, applied).unwrap();
    let outcome = apply(plan, source, data, true)?;
    *applied = outcome.applied.clone();
    Ok(outcome)
}
