//! `keyswap api-key list`: the API keys of a registry.

use clap::Args;
use serde_json::json;

use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};

/// List API keys by name, with the role, the expiry and the last use of each
#[derive(Args)]
#[command(after_help = exit::help("  keyswap api-key list --database sqlite://keyswap.db"))]
pub(crate) struct List {
    #[command(flatten)]
    target: Target,
}

impl List {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let keys = self.target.open()?.api_keys()?;
        match self.target.format {
            Format::Json => output::print_json(&json!({"items": keys}))?,
            Format::Human if keys.is_empty() => output::note("no API keys"),
            Format::Human => output::print(&view::table(&keys).to_text())?,
        }
        Ok(Exit::Ok)
    }
}
