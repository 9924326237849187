//! `cargo xtask structure`: holds the crates to floors, to imports without circles, and to files of a readable size.
//!
//! - A top-level module of a crate with floors imports from itself and from the modules declared before it.
//! - No import closes a circle, among files or among folders that stand side by side.
//! - In a crate with floors, a `mod.rs` declares and re-exports only.
//! - Files and function bodies keep to a limit of lines.
//!
//! Imports are read from the syntax, so nothing is compiled. A name counts for the file that defines it, however many
//! re-exports lead there. Test code is held to the same rules. Calls of methods, attributes and links in comments do not
//! count.

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
const HOUSE: [Rules; 7] = [
    Rules { max_entries: Some(16), ..Rules::in_floors("core/src") },
    Rules::in_floors("filter/src"),
    Rules::in_floors("component/src"),
    Rules::in_floors("cases/src"),
    Rules::in_floors("control/src"),
    Rules::without_circles("tests/src"),
    Rules::without_circles("xtask/src"),
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
