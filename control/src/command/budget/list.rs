//! `keyswap budget list`: the budgets of a registry.

use clap::Args;
use serde_json::json;

use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};

/// List the budgets that were set, and those of owners and teams that data planes bring from their policy
#[derive(Args)]
#[command(after_help = exit::help("  keyswap budget list --database sqlite://keyswap.db"))]
pub(crate) struct List {
    #[command(flatten)]
    target: Target,
}

impl List {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let states = self.target.open()?.budgets()?;
        match self.target.format {
            Format::Json => output::print_json(&json!({"items": states}))?,
            Format::Human if states.is_empty() => output::note("no budgets"),
            Format::Human => output::print(&view::table(&states).to_text())?,
        }
        Ok(Exit::Ok)
    }
}
