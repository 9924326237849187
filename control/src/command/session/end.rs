//! `keyswap session end`: ends a session of a user of a registry.

use clap::Args;
use serde_json::json;

use crate::command::connection::target::Target;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};

/// End a session of a user: data planes refuse its tokens at once
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap session end q3l0Xj8vTq2mS1yB5wRk7A --yes --database sqlite://keyswap.db"
))]
pub(crate) struct End {
    /// Id of the session, as `session list` prints it
    id: String,
    /// End the session without asking for confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

impl End {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        confirm(&format!("End the session {}?", visible(&self.id)), self.yes)?;
        registry.end_session(&self.id)?;
        match self.target.format {
            Format::Human => output::print(&format!("ended {}", visible(&self.id)))?,
            Format::Json => output::print_json(&json!({"ended": self.id}))?,
        }
        Ok(Exit::Ok)
    }
}
