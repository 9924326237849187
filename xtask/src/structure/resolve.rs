//! The arrows between the files of a crate: imports and paths of names that another file defines.
//!
//! A path is followed through re-exports and globs to the file that defines the name. Paths that leave the crate, or
//! that stay in their file, make no arrow.

use std::{collections::BTreeMap, iter};

use super::facts::{Mention, Path};
use super::tree::{FileId, ModuleId, Name, Tree};

/// The file that takes a name, and the file that defines it.
pub(super) type Arrow = (FileId, FileId);

/// The names that each arrow takes, with the first line of each.
pub(super) type Arrows = BTreeMap<Arrow, BTreeMap<String, usize>>;

/// Finds all arrows of the crate.
pub(super) fn arrows(tree: &Tree) -> Arrows {
    let mut arrows = Arrows::new();
    for (id, module) in tree.modules.iter().enumerate() {
        let imports = module.imports.iter().map(|import| &import.mention);
        for mention in imports.chain(&module.globs).chain(&module.mentions) {
            for found in (Resolver { tree, open: Vec::new() }).path(id, &mention.path) {
                add(&mut arrows, tree, module.file, mention, found);
            }
        }
    }
    arrows
}

fn add(arrows: &mut Arrows, tree: &Tree, from: FileId, mention: &Mention, found: Found) {
    let (to, name) = match found {
        Found::Item { file, name } => (file, name),
        Found::Module(id) => {
            let module = &tree.modules[id];
            // A single name may be a variable. A module with files below it is only a step of a path to a name in them.
            if mention.path.len() < 2 || module.has_files_below {
                return;
            }
            (module.file, tree.files[module.file].name())
        }
    };
    if to == from || tree.files[to].facts.is_facade() {
        return;
    }
    let first = arrows.entry((from, to)).or_default().entry(name).or_insert(mention.line);
    *first = mention.line.min(*first);
}

/// The target of a path within the crate.
enum Found {
    Item { file: FileId, name: String },
    Module(ModuleId),
}

/// Follows one path.
struct Resolver<'t> {
    tree: &'t Tree,
    /// The names that are being followed. A name is not followed twice, so circles of re-exports end.
    open: Vec<(ModuleId, String)>,
}

impl Resolver<'_> {
    /// Returns the targets of a path in this module, none if the path leaves the crate.
    fn path(&mut self, module: ModuleId, path: &[String]) -> Vec<Found> {
        let Some((first, rest)) = path.split_first() else {
            return Vec::new();
        };
        match first.as_str() {
            "crate" => self.within(self.ancestors(module).last(), rest),
            "self" | "super" => self.within(Some(module), path),
            name => self.name(module, name, rest).unwrap_or_default(),
        }
    }

    /// Returns the targets of the rest of a path within this module.
    fn within(&mut self, module: Option<ModuleId>, path: &[String]) -> Vec<Found> {
        let Some(module) = module else {
            return Vec::new();
        };
        let Some((first, rest)) = path.split_first() else {
            return vec![Found::Module(module)];
        };
        match first.as_str() {
            "self" => self.within(Some(module), rest),
            "super" => self.within(self.tree.modules[module].parent, rest),
            // A macro defines a name that is not in the source.
            name => self.name(module, name, rest).unwrap_or_else(|| {
                vec![Found::Item { file: self.tree.modules[module].file, name: name.to_owned() }]
            }),
        }
    }

    /// Returns the targets of a name in the module, followed by `rest`; `None` if the module has no such name.
    fn name(&mut self, module: ModuleId, name: &str, rest: &[String]) -> Option<Vec<Found>> {
        let this = &self.tree.modules[module];
        let Some(meanings) = this.names.get(name) else {
            return self.by_globs(module, name, rest);
        };
        let mut found = Vec::new();
        for meaning in meanings {
            match meaning {
                Name::Item => found.push(Found::Item { file: this.file, name: name.to_owned() }),
                Name::Module(child) => found.extend(self.within(Some(*child), rest)),
                Name::Import(path) => {
                    let path: Path = path.iter().chain(rest).cloned().collect();
                    let followed = self.follow(module, name, |resolver| resolver.path(module, &path));
                    found.extend(followed.unwrap_or_default());
                }
            }
        }
        Some(found)
    }

    fn by_globs(&mut self, module: ModuleId, name: &str, rest: &[String]) -> Option<Vec<Found>> {
        self.follow(module, name, |resolver| {
            resolver.tree.modules[module].globs.iter().find_map(|glob| {
                resolver.path(module, &glob.path).into_iter().find_map(|found| match found {
                    Found::Module(from) => resolver.name(from, name, rest),
                    Found::Item { .. } => None,
                })
            })
        })?
    }

    /// Follows a name. Returns `None` if the name is being followed already.
    fn follow<T>(&mut self, module: ModuleId, name: &str, follow: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let key = (module, name.to_owned());
        if self.open.contains(&key) {
            return None;
        }
        self.open.push(key);
        let followed = follow(self);
        self.open.pop();
        Some(followed)
    }

    fn ancestors(&self, module: ModuleId) -> impl Iterator<Item = ModuleId> {
        iter::successors(Some(module), |module| self.tree.modules[*module].parent)
    }
}
