//! `keyswap session list`: the open sessions of a user of a registry.

use clap::Args;
use serde_json::json;

use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};
use crate::command::terminal::table::Table;

const COLUMNS: &[&str] = &["id", "device", "from", "signed in", "last refresh", "ends"];

/// List the sessions of a user on devices
#[derive(Args)]
#[command(after_help = exit::help("  keyswap session list alice@example.com --database sqlite://keyswap.db"))]
pub(crate) struct List {
    /// Email address of the user
    email: String,
    #[command(flatten)]
    target: Target,
}

impl List {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let sessions = self.target.open()?.sessions(&self.email)?;
        match self.target.format {
            Format::Json => output::print_json(&json!({"items": sessions}))?,
            Format::Human if sessions.is_empty() => output::note("no sessions"),
            Format::Human => {
                let mut table = Table::new(COLUMNS);
                for session in sessions {
                    let times = [session.created_at, session.refreshed_at, session.expires_at];
                    let texts = [session.sid, session.name, session.address];
                    table.add(texts.into_iter().chain(times.map(|at| at.to_string())));
                }
                output::print(&table.to_text())?;
            }
        }
        Ok(Exit::Ok)
    }
}
