//! The sources of a program, and the paths that each of them names outside its tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Macro, MetaList, UseTree};

/// A path of names. A path below the root of the program begins with `crate`, also where it was written with `super`.
pub(super) type Names = Vec<String>;

/// A source file: its path below the root without the extension, and what it names.
pub(super) struct Source {
    pub(super) module: String,
    pub(super) paths: BTreeSet<Names>,
    pub(super) calls_verified: bool,
    pub(super) asks_time: bool,
}

impl Source {
    pub(super) fn is_in(&self, module: &str) -> bool {
        let rest = self.module.strip_prefix(module);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    pub(super) fn names_library(&self, library: &str) -> bool {
        self.paths.iter().any(|path| path[0] == library)
    }

    /// Whether it names the module, given as its path below the root, or something in it.
    pub(super) fn names_module(&self, module: &str) -> bool {
        self.paths.iter().any(|path| leads_to(path, module))
    }
}

/// Whether a path leads to a module, given as its path below the root, or to something in it.
pub(super) fn leads_to(path: &Names, module: &str) -> bool {
    let names = module.split('/').collect::<Vec<_>>();
    path[0] == "crate" && path.len() > names.len() && path[1..=names.len()] == names
}

/// Returns the sources below a directory, without the modules that only tests have.
pub(super) fn sources(root: &str) -> Vec<Source> {
    fn walk(directory: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    let mut only_in_tests = Vec::new();
    let mut sources = Vec::new();
    for path in files {
        let module = path.strip_prefix(&root).unwrap().with_extension("");
        let module = module.display().to_string();
        let collector = Collector::read(&module, &fs::read_to_string(&path).unwrap());
        only_in_tests.extend(collector.test_modules);
        sources.push(Source {
            module,
            paths: collector.paths,
            calls_verified: collector.calls_verified,
            asks_time: collector.asks_time,
        });
    }
    sources.retain(|source| !only_in_tests.iter().any(|module| source.is_in(module)));
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

/// Collects the paths of a file, except those of its tests.
#[derive(Default)]
struct Collector {
    /// The module that is visited, as its names below the root.
    module: Names,
    paths: BTreeSet<Names>,
    test_modules: Vec<String>,
    calls_verified: bool,
    /// Whether a path ends with `now`.
    asks_time: bool,
}

impl Collector {
    fn read(module: &str, text: &str) -> Self {
        let names = module.split('/').map(str::to_owned);
        let is_root = ["main", "lib"].contains(&module);
        let mut collector = Self {
            module: names.filter(|_| !is_root).collect(),
            ..Self::default()
        };
        collector.visit_file(&syn::parse_file(text).unwrap());
        collector
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        let mut path = before.to_vec();
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.add_tree(&part.tree, &path);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(tree, &path);
                }
            }
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.add(&path);
            }
            UseTree::Rename(rename) => {
                path.push(rename.ident.to_string());
                self.add(&path);
            }
            UseTree::Glob(_) => self.add(&path),
        }
    }

    /// Adds a path, and makes one that begins with `self` or `super` begin with `crate`.
    fn add(&mut self, path: &[String]) {
        self.asks_time |= path.last().is_some_and(|name| name == "now");
        let is_relative = |name: &&String| ["self", "super"].contains(&name.as_str());
        let relative = path.iter().take_while(is_relative).count();
        if relative == 0 {
            self.paths.insert(path.to_vec());
            return;
        }
        let up = path[..relative].iter().filter(|name| *name == "super");
        let kept = self.module.len().saturating_sub(up.count());
        let mut absolute = vec!["crate".to_owned()];
        absolute.extend_from_slice(&self.module[..kept]);
        absolute.extend_from_slice(&path[relative..]);
        self.paths.insert(absolute);
    }

    /// Adds the paths among the tokens of a macro, which are not parsed.
    fn add_tokens(&mut self, mut rest: Cursor<'_>) {
        let mut path = Names::new();
        while !rest.eof() {
            if let Some((name, after)) = rest.ident() {
                path.push(name.to_string());
                rest = after;
                if let Some(after) = path_separator(rest) {
                    rest = after;
                    continue;
                }
            } else if let Some((inside, _, _, after)) = rest.any_group() {
                self.add_tokens(inside);
                rest = after;
            } else if let Some((_, after)) = rest.token_tree() {
                rest = after;
            }
            if path.len() > 1 {
                self.add(&path);
            }
            path.clear();
        }
    }
}

/// Returns what follows a `::`.
fn path_separator(tokens: Cursor<'_>) -> Option<Cursor<'_>> {
    let (first, rest) = tokens.punct()?;
    let (second, rest) = rest.punct()?;
    (first.as_char() == ':' && second.as_char() == ':').then_some(rest)
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|name| name == "test")
    })
}

/// Returns whether an attribute is one of tests, such as `cfg_attr(test, derive(…))`.
fn is_test_only(list: &MetaList) -> bool {
    let first = list.tokens.clone().into_iter().next();
    list.path.is_ident("cfg_attr") && first.is_some_and(|token| token.to_string() == "test")
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_test(&item.attrs) {
            self.add_tree(&item.tree, &[]);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        if is_test(&item.attrs) {
            self.test_modules.push(self.module.join("/"));
        } else {
            visit::visit_item_mod(self, item);
        }
        self.module.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if names.len() > 1 {
            self.add(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.add_tokens(TokenBuffer::new2(call.tokens.clone()).begin());
        visit::visit_macro(self, call);
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        if is_test_only(list) {
            return;
        }
        self.add_tokens(TokenBuffer::new2(list.tokens.clone()).begin());
        visit::visit_meta_list(self, list);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func {
            self.calls_verified |= function.path.is_ident("Verified");
        }
        visit::visit_expr_call(self, call);
    }
}

#[test]
fn grouped_imports_nested_modules_and_macros_are_seen() {
    let code = "use crate::{auth, plugin::{self, Detector}}; mod inner { use wasmtime::Engine; } \
                #[cfg(test)] mod tests { use axum::Router; } fn f() { kube::Client::new(); } \
                fn g() { select! { () = hyper::accept() => json!([clap::Parser]) } } \
                #[derive(serde::Serialize)] #[cfg_attr(test, derive(regex::Regex))] struct S; #[cfg(test)] mod testing;";
    let collector = Collector::read("receiver/body", code);
    let names = |first: &str| collector.paths.iter().any(|path| path[0] == first);
    for library in ["wasmtime", "kube", "hyper", "clap", "serde"] {
        assert!(names(library), "{library}");
    }
    assert!(!names("axum") && !names("regex"));
    let has = |module: &str| collector.paths.iter().any(|path| leads_to(path, module));
    assert!(has("auth") && has("plugin/Detector"));
    assert_eq!(
        collector.test_modules,
        ["receiver/body/tests", "receiver/body/testing"]
    );
}

#[test]
fn relative_paths_are_resolved() {
    let code = "use super::super::plugin::Detector; use self::part::Part; use super::answer; \
                mod inner { use super::super::limits; } fn f() { m!(super::super::auth::Keys) }";
    let collector = Collector::read("receiver/body", code);
    let has = |module: &str| collector.paths.iter().any(|path| leads_to(path, module));
    for module in [
        "plugin",
        "receiver/body/part",
        "receiver/answer",
        "receiver/limits",
        "auth",
    ] {
        assert!(has(module), "{module}");
    }
}
