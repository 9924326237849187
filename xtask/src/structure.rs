//! `cargo xtask structure`: checks floors, circles of imports, and the sizes of files and functions.
//!
//! - A top-level module of a crate with floors imports from itself and from the modules declared before it.
//! - No import closes a circle, among files or among folders side by side.
//! - In a crate with floors, a `mod.rs` declares and re-exports only.
//! - Files and function bodies have a limit of lines.
//!
//! Imports are read from the syntax, so nothing is compiled. A name belongs to the file that defines it, even if it is
//! imported through re-exports. Test code obeys the same rules. Method calls, attributes and links in comments are
//! ignored.

mod check;
mod circles;
mod facts;
mod floors;
mod graph;
mod reader;
mod report;
mod resolve;
mod sizes;
#[cfg(test)]
mod tests;
mod tokens;
mod tree;

use anyhow::{Result, ensure};
use keyswap_tests::tools;

use check::{Outcome, Rules, check};

/// The crates that are checked.
const HOUSE: [Rules; 11] = [
    Rules { max_entries: Some(17), ..Rules::in_floors("core/src") },
    Rules::in_floors("streams/src"),
    Rules::in_floors("filter/src"),
    Rules::in_floors("module/src"),
    Rules::in_floors("component/src"),
    Rules::in_floors("cases/src"),
    Rules::in_floors("control/src"),
    Rules::in_floors("standin/src"),
    Rules::without_circles("tests/src"),
    Rules::without_circles("xtask/src"),
    Rules::without_circles("fuzz/src"),
];

pub(crate) fn run() -> Result<()> {
    let Outcome { violations, files, arrows, floors } = check(&tools::project_root(), &HOUSE)?;
    for violation in &violations {
        println!("{violation}\n");
    }
    ensure!(violations.is_empty(), "the structure is broken in {} places", violations.len());
    println!("{} crates, {files} files, {arrows} arrows, {floors} floors: no way up, no circle", HOUSE.len());
    Ok(())
}
