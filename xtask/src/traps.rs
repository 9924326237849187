//! `cargo xtask traps`: faults of the filter and of the module, one in each callback and hook.
//!
//! These are tests, `traps::` of `tests/tests`.

use anyhow::Result;

use crate::measured::{self, Options, Promise};

const PROMISES: [Promise; 2] = [
    (
        "filter",
        "a filter that traps forwards nothing, and is loaded anew",
        "a copy of the filter that traps at a chosen call of each callback in turn",
    ),
    (
        "module",
        "a module that panics forwards nothing, and goes on",
        "a panic at a chosen call of each hook of the module in turn",
    ),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    measured::run("traps", &PROMISES, options)
}
