//! The check of several crates, each by its rules.

use std::path::Path;

use anyhow::Result;

use super::report::Violation;
use super::{circles, floors, resolve, sizes, tree};

/// The rules of one crate, in addition to those of all crates: no circles, no long files, no long functions.
pub(super) struct Rules {
    /// The folder of the sources, from the root of the repository.
    pub(super) sources: &'static str,
    /// Set if the `mod` declarations of the root file are in the order of floors, ground up.
    pub(super) has_floors: bool,
    /// Set if a `mod.rs` may only declare and re-export.
    pub(super) has_bare_mod_files: bool,
    /// The largest number of files and folders in the folder of the sources. `None` for no limit.
    pub(super) max_entries: Option<usize>,
}

impl Rules {
    /// Returns the rules for a crate with floors.
    pub(super) const fn in_floors(sources: &'static str) -> Self {
        Self { sources, has_floors: true, has_bare_mod_files: true, max_entries: None }
    }

    /// Returns the rules for a crate whose modules have no order.
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
