//! `keyswap credential list`: the credentials of a registry.

use clap::Args;
use serde_json::json;

use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};

/// List credentials by name, with the time at which each was last seen
#[derive(Args)]
#[command(after_help = exit::help("  keyswap credential list --database sqlite://keyswap.db"))]
pub(crate) struct List {
    #[command(flatten)]
    target: Target,
}

impl List {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let credentials = self.target.open()?.credentials()?;
        match self.target.format {
            Format::Json => output::print_json(&json!({"items": credentials}))?,
            Format::Human if credentials.is_empty() => output::note("no credentials"),
            Format::Human => output::print(&view::table(&credentials).to_text())?,
        }
        Ok(Exit::Ok)
    }
}
