//! `keyswap object show`: an object and its holder.

use clap::Args;

use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::registry::ObjectKey;

/// Show an object and its holder
#[derive(Args)]
#[command(after_help = exit::help("  keyswap object show openai file-abc123 --database sqlite://keyswap.db"))]
pub(crate) struct Show {
    /// Provider, by its name in the policy
    provider: String,
    /// Id of the object at the provider
    id: String,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let key = ObjectKey::new(&self.provider, &self.id)?;
        view::print(&self.target.open()?.object(&key.digest())?, self.target.format)?;
        Ok(Exit::Ok)
    }
}
