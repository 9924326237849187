//! The facts that a source file states about itself: names, imports, mentions of other paths, and sizes.
//!
//! The facts come from the syntax of one file. Names are not resolved here, so no other file is read.

/// A path as it is written, without generic arguments: `crate`, `base`, `Digest`.
pub(super) type Path = Vec<String>;

/// The facts of one file.
#[derive(Default)]
pub(super) struct FileFacts {
    pub(super) lines: usize,
    pub(super) functions: Vec<Function>,
    /// The top-level items other than module declarations and re-exports.
    pub(super) code: Vec<Code>,
    pub(super) module: ModuleFacts,
}

impl FileFacts {
    /// Returns true if the file only declares modules and imports names. Arrows then pass through it.
    pub(super) fn is_facade(&self) -> bool {
        self.code.iter().all(|code| code.is_private_use)
    }
}

/// An item that a `mod.rs` may not have.
pub(super) struct Code {
    pub(super) line: usize,
    pub(super) is_private_use: bool,
}

/// A function with a body.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    /// The number of lines between the braces of the body.
    pub(super) lines: usize,
    /// Set if a comment above the function gives the reason for its length.
    pub(super) has_reason: bool,
}

/// The facts of one module: a file, or an inline module within one.
#[derive(Default)]
pub(super) struct ModuleFacts {
    /// The names of items that the module defines.
    pub(super) items: Vec<String>,
    pub(super) imports: Vec<Import>,
    pub(super) globs: Vec<Mention>,
    pub(super) mentions: Vec<Mention>,
    pub(super) children: Vec<Child>,
}

/// A name that a `use` imports.
pub(super) struct Import {
    /// The name in this module, `_` for a trait without a name.
    pub(super) name: String,
    pub(super) mention: Mention,
}

/// A path and its line.
pub(super) struct Mention {
    pub(super) path: Path,
    pub(super) line: usize,
}

/// A module within a module.
pub(super) struct Child {
    pub(super) name: String,
    pub(super) line: usize,
    /// The facts of an inline module. `None` for a declaration, whose module is a file.
    pub(super) inline: Option<ModuleFacts>,
}
