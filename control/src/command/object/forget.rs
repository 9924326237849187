//! `keyswap object forget`: takes an object from its holder.

use clap::Args;
use serde_json::json;

use crate::command::connection::target::Target;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};
use crate::registry::ObjectKey;

/// Take an object from its holder: it belongs to no one until it is adopted
///
/// The provider keeps the object.
#[derive(Args)]
#[command(after_help = exit::help("  keyswap object forget openai file-abc123 --yes --database sqlite://keyswap.db"))]
pub(crate) struct Forget {
    /// Provider, by its name in the policy
    provider: String,
    /// Id of the object at the provider
    id: String,
    /// Forget without asking for confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

impl Forget {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let object = registry.object(&ObjectKey::new(&self.provider, &self.id)?.digest())?;
        let name = visible(&object.name());
        confirm(&format!("Forget the object {name}? Its holder cannot use it any more."), self.yes)?;
        registry.forget_object(&object.digest)?;
        match self.target.format {
            Format::Human => output::print(&format!("forgot {name}"))?,
            Format::Json => output::print_json(&json!({"forgotten": object.digest.to_hex()}))?,
        }
        Ok(Exit::Ok)
    }
}
