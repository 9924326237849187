//! The options of the bench, and the plan that follows from them.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use keyswap_tests::bench::{Kind, Plan};

/// The length of a slice of a quick run.
const QUICK: Duration = Duration::from_millis(50);

/// The options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Number of rounds. Many short rounds tell more than few long ones: the machine changes less within each
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rounds: u32,
    /// Length of each measurement of a round, in milliseconds
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(20..))]
    pub(super) slice: u32,
    /// Rate for latencies, in requests a second [default: half of what Keyswap can do]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rate: Option<u32>,
    /// Set-ups to compare with Envoy alone; `--list` prints their names. Implies `--table set-ups`
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(super) set_up: Vec<String>,
    /// Tables to measure: set-ups, component, gateways, tokens, workers, bodies, streams, memory [default: all]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(super) table: Vec<Kind>,
    /// Filter of a former release, measured beside this one
    #[arg(long, value_name = "FILE")]
    pub(super) former: Option<PathBuf>,
    /// Run one short round, only to see that everything works: the figures mean nothing
    #[arg(long)]
    pub(super) quick: bool,
    /// File for all samples, as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// File for the tables, as Markdown
    #[arg(long, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,
    /// Put the figures of a whole run into the repository and its documents
    #[arg(long)]
    pub(super) update_docs: bool,
    /// Print the names of the set-ups and exit
    #[arg(long)]
    pub(super) list: bool,
}

impl Options {
    /// Returns what is to be measured; fails where the documents would get less than a whole run.
    pub(super) fn plan(&self) -> Result<Plan> {
        let tables = match (self.table.as_slice(), self.set_up.as_slice()) {
            ([], []) => Kind::ALL.to_vec(),
            ([], _) => vec![Kind::SetUps],
            (tables, _) => tables.to_vec(),
        };
        let is_whole = self.set_up.is_empty() && tables == Kind::ALL && !self.quick;
        ensure!(!self.update_docs || is_whole, "the documents show whole runs only");
        Ok(Plan {
            rounds: if self.quick { 1 } else { usize::try_from(self.rounds)? },
            slice: if self.quick { QUICK } else { Duration::from_millis(self.slice.into()) },
            rate: self.rate,
            set_ups: self.set_up.clone(),
            former: self.former.clone(),
            tables,
            quick: self.quick,
        })
    }
}
