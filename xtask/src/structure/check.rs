//! The check of a house of crates, each by the rules that hold for it.

use std::path::Path;

use anyhow::Result;

use super::report::Violation;
use super::{circles, floors, resolve, sizes, tree};

/// The rules that hold for one crate. No circles, and no file or function that is too long, hold for each.
pub(super) struct Rules {
    /// The folder of its sources, from the root of the repository.
    pub(super) sources: &'static str,
    /// True if the order of `mod` declarations in the root file is that of floors, ground up.
    pub(super) has_floors: bool,
    /// True if a `mod.rs` only declares and re-exports.
    pub(super) has_bare_mod_files: bool,
    /// How many files and folders there may be in the folder of its sources.
    pub(super) max_entries: Option<usize>,
}

impl Rules {
    /// The rules for a crate that is laid out in floors.
    pub(super) const fn in_floors(sources: &'static str) -> Self {
        Self { sources, has_floors: true, has_bare_mod_files: true, max_entries: None }
    }

    /// The rules for a crate without an order of its modules.
    pub(super) const fn without_circles(sources: &'static str) -> Self {
        Self { sources, has_floors: false, has_bare_mod_files: false, max_entries: None }
    }
}

/// The outcome of a check.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) violations: Vec<Violation>,
    pub(super) files: usize,
    pub(super) arrows: usize,
    pub(super) floors: usize,
}

/// Checks crates below `root`.
pub(super) fn check(root: &Path, house: &[Rules]) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for rules in house {
        let tree = tree::read(root, rules.sources)?;
        let arrows = resolve::arrows(&tree);
        outcome.files += tree.files.len();
        outcome.arrows += arrows.len();
        if rules.has_floors {
            outcome.floors += tree.order.len();
            outcome.violations.extend(floors::find(&tree, &arrows));
        }
        outcome.violations.extend(circles::find(&tree, &arrows));
        if rules.has_bare_mod_files {
            outcome.violations.extend(sizes::find_code_in_mod_files(&tree));
        }
        outcome.violations.extend(sizes::find(&tree));
        if let Some(most) = rules.max_entries {
            outcome.violations.extend(sizes::find_many_entries(root, rules.sources, most)?);
        }
    }
    Ok(outcome)
}
