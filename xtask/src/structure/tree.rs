//! The files and the module tree of a crate, from the root file down.

use std::{collections::BTreeMap, fs, mem, path};

use anyhow::{Context as _, Result, ensure};

use super::facts::{Child, FileFacts, Import, Mention, ModuleFacts, Path};
use super::reader;

/// The index of a file in [`Tree::files`].
pub(super) type FileId = usize;
/// The index of a module in [`Tree::modules`].
pub(super) type ModuleId = usize;

/// The sources of a crate.
pub(super) struct Tree {
    pub(super) files: Vec<File>,
    pub(super) modules: Vec<Module>,
    /// The top-level modules, in the order in which the root file declares them.
    pub(super) order: Vec<String>,
}

/// A source file.
pub(super) struct File {
    /// The path from the root of the repository.
    pub(super) path: String,
    /// The path of the file's module in the crate, empty for the root file.
    pub(super) place: Path,
    pub(super) facts: FileFacts,
}

impl File {
    /// Returns the name of the file's module, for the root file its path.
    pub(super) fn name(&self) -> String {
        self.place.last().unwrap_or(&self.path).clone()
    }
}

/// A module: a file, or an inline module within one.
pub(super) struct Module {
    pub(super) file: FileId,
    pub(super) parent: Option<ModuleId>,
    /// Set if the module declares a module with a file.
    pub(super) has_files_below: bool,
    pub(super) names: BTreeMap<String, Vec<Name>>,
    pub(super) imports: Vec<Import>,
    pub(super) globs: Vec<Mention>,
    pub(super) mentions: Vec<Mention>,
}

/// A meaning of a name in a module.
pub(super) enum Name {
    Item,
    Module(ModuleId),
    Import(Path),
}

/// Reads the library and the program of the crate whose sources are in `folder`, below `root`.
pub(super) fn read(root: &path::Path, folder: &str) -> Result<Tree> {
    let mut reading = Reading { root, files: Vec::new(), modules: Vec::new() };
    let mut order = Vec::new();
    for path in ["lib.rs", "main.rs"].map(|name| format!("{folder}/{name}")) {
        if root.join(&path).is_file() {
            let declared = reading.file(&path, &Place { path: Path::new(), parent: None })?;
            order.extend(declared);
        }
    }
    ensure!(!reading.files.is_empty(), "`{folder}` has neither a `lib.rs` nor a `main.rs`");
    Ok(Tree { files: reading.files, modules: reading.modules, order })
}

struct Reading<'a> {
    root: &'a path::Path,
    files: Vec<File>,
    modules: Vec<Module>,
}

/// The place of a module in the crate.
struct Place {
    path: Path,
    parent: Option<ModuleId>,
}

impl Reading<'_> {
    /// Reads a file and the files of its modules. Returns the modules that the file declares, in order.
    fn file(&mut self, path: &str, place: &Place) -> Result<Vec<String>> {
        let text = fs::read_to_string(self.root.join(path)).with_context(|| format!("cannot read {path}"))?;
        let mut facts = reader::read(&text).with_context(|| format!("cannot read {path}"))?;
        let module = mem::take(&mut facts.module);
        let declared = module.children.iter().map(|child| child.name.clone()).collect();
        self.files.push(File { path: path.to_owned(), place: place.path.clone(), facts });
        self.module(module, self.files.len() - 1, &folder_of_children(path), place)?;
        Ok(declared)
    }

    /// Adds a module of a file and its submodules, whose files are in `folder`.
    fn module(&mut self, facts: ModuleFacts, file: FileId, folder: &str, place: &Place) -> Result<()> {
        let mut names = BTreeMap::<_, Vec<_>>::new();
        for item in facts.items {
            names.entry(item).or_default().push(Name::Item);
        }
        for import in &facts.imports {
            names.entry(import.name.clone()).or_default().push(Name::Import(import.mention.path.clone()));
        }
        let ModuleFacts { imports, globs, mentions, children, .. } = facts;
        let id = self.modules.len();
        let (parent, has_files_below) = (place.parent, children.iter().any(|child| child.inline.is_none()));
        self.modules.push(Module { file, parent, has_files_below, names, imports, globs, mentions });
        for child in children {
            let meaning = Name::Module(self.modules.len());
            self.modules[id].names.entry(child.name.clone()).or_default().push(meaning);
            let mut path = place.path.clone();
            path.push(child.name.clone());
            let place = Place { path, parent: Some(id) };
            match child.inline {
                Some(facts) => self.module(facts, file, &format!("{folder}/{}", child.name), &place)?,
                None => drop(self.file(&self.file_of(&child, file, folder)?, &place)?),
            }
        }
        Ok(())
    }

    fn file_of(&self, child: &Child, declared_in: FileId, folder: &str) -> Result<String> {
        let paths = [format!("{folder}/{}.rs", child.name), format!("{folder}/{}/mod.rs", child.name)];
        paths.into_iter().find(|path| self.root.join(path).is_file()).with_context(|| {
            let File { path, .. } = &self.files[declared_in];
            format!("{path}:{}: there is no file for the module `{}`", child.line, child.name)
        })
    }
}

/// Returns the folder of the modules that a file declares.
fn folder_of_children(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
    match name.strip_suffix(".rs") {
        Some("lib" | "main" | "mod") | None => folder.to_owned(),
        Some(stem) => format!("{folder}/{stem}"),
    }
}
