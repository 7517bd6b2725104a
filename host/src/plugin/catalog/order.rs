//! Decides which of the supplied plugins are asked, and in which order.

use std::collections::BTreeMap;

/// The properties of a plugin or a file that the order depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// The name in its description. `None` if it could not be loaded.
    pub(super) name: Option<&'a str>,
    /// Whether the settings enable it.
    pub(super) is_enabled: bool,
}

/// Why a candidate is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAsked {
    /// The settings disable it.
    Disabled,
    /// It could not be loaded.
    NotLoaded,
    /// A file has the same name and comes first. The index is that of this file among the files.
    Duplicate(usize),
    /// A file has the name of this built-in plugin and is asked instead. The index is that of this file among the
    /// files.
    Replaced(usize),
}

/// A file or a built-in plugin, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Id {
    /// The index among the files.
    File(usize),
    /// The index among the built-in plugins.
    Builtin(usize),
}

/// The order of the plugins.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// Those that are asked, in order.
    pub(super) asked: Vec<Id>,
    /// The others, each with the reason.
    pub(super) aside: Vec<(Id, NotAsked)>,
}

/// Orders the plugins: files first, in the order in which they are supplied, then the built-in ones. A file with the
/// name of a built-in plugin takes the position of that plugin in the order. Otherwise a file that replaces `generic`
/// would be asked before all others.
pub(super) fn order(files: &[Candidate<'_>], builtins: &[Candidate<'_>]) -> Order {
    let mut order = Order::default();
    let mut replacements: BTreeMap<&str, usize> = BTreeMap::new();
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        let why = match file {
            Candidate {
                is_enabled: false, ..
            } => NotAsked::Disabled,
            Candidate { name: None, .. } => NotAsked::NotLoaded,
            Candidate {
                name: Some(name), ..
            } => {
                if let Some(first) = taken.get(name) {
                    NotAsked::Duplicate(*first)
                } else {
                    taken.insert(name, index);
                    if builtins.iter().any(|builtin| builtin.name == Some(name)) {
                        replacements.insert(name, index);
                    } else {
                        order.asked.push(Id::File(index));
                    }
                    continue;
                }
            }
        };
        order.aside.push((Id::File(index), why));
    }
    for (index, builtin) in builtins.iter().enumerate() {
        let replacement = builtin.name.and_then(|name| replacements.get(name));
        if let Some(file) = replacement {
            order.asked.push(Id::File(*file));
            order
                .aside
                .push((Id::Builtin(index), NotAsked::Replaced(*file)));
        } else if builtin.is_enabled {
            order.asked.push(Id::Builtin(index));
        } else {
            order.aside.push((Id::Builtin(index), NotAsked::Disabled));
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(name: &str) -> Candidate<'_> {
        Candidate {
            name: Some(name),
            is_enabled: true,
        }
    }

    fn off(name: &str) -> Candidate<'_> {
        Candidate {
            is_enabled: false,
            ..on(name)
        }
    }

    const UNLOADED: Candidate<'_> = Candidate {
        name: None,
        is_enabled: true,
    };

    #[test]
    fn files_come_first_and_the_first_of_one_name_is_asked() {
        let files = [on("acme"), UNLOADED, on("acme"), off("other"), on("third")];
        let order = order(&files, &[on("github"), on("generic")]);
        let asked = [Id::File(0), Id::File(4), Id::Builtin(0), Id::Builtin(1)];
        assert_eq!(order.asked, asked);
        let aside = [
            (Id::File(1), NotAsked::NotLoaded),
            (Id::File(2), NotAsked::Duplicate(0)),
            (Id::File(3), NotAsked::Disabled),
        ];
        assert_eq!(order.aside, aside);
    }

    #[test]
    fn a_file_takes_the_place_of_the_built_in_plugin_of_its_name() {
        let builtins = [on("github"), off("gitlab"), on("generic")];
        let order = order(&[on("generic"), on("acme"), off("github")], &builtins);
        assert_eq!(order.asked, [Id::File(1), Id::Builtin(0), Id::File(0)]);
        let aside = [
            (Id::File(2), NotAsked::Disabled),
            (Id::Builtin(1), NotAsked::Disabled),
            (Id::Builtin(2), NotAsked::Replaced(0)),
        ];
        assert_eq!(order.aside, aside);
    }

    #[test]
    fn a_disabled_file_leaves_its_name_to_the_next() {
        let order = order(&[off("acme"), on("acme")], &[]);
        assert_eq!(order.asked, [Id::File(1)]);
    }
}
