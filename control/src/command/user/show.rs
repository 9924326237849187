//! `keyswap user show`: the record of a user.

use clap::Args;

use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};

/// Show the record of a user
#[derive(Args)]
#[command(after_help = exit::help("  keyswap user show alice@example.com --database sqlite://keyswap.db"))]
pub(crate) struct Show {
    /// Email address of the user
    email: String,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        view::print(&self.target.open()?.user(&self.email)?, self.target.format)?;
        Ok(Exit::Ok)
    }
}
