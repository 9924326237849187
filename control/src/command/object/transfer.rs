//! `keyswap object transfer`: gives an object, or all objects of a holder, to another one.

use clap::Args;
use serde_json::json;

use super::{holder, view};
use crate::command::connection::target::Target;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};
use crate::registry::ObjectKey;

/// Give an object, or all objects of a holder, to another holder
///
/// HOLDER is `token:TOKEN` or `person:EMAIL`, as in `object adopt`. A transfer of all objects goes in parts: if it is
/// interrupted, repeat it.
#[derive(Args)]
#[command(
    override_usage = "keyswap object transfer <PROVIDER> <ID> --to <HOLDER> [OPTIONS]\n       \
                      keyswap object transfer --from <HOLDER> --to <HOLDER> [OPTIONS]",
    after_help = exit::help(
        "  keyswap object transfer openai file-abc123 --to token:ci --database sqlite://keyswap.db\n  \
         keyswap object transfer --from person:alice@example.com --to person:bob@example.com --yes"
    )
)]
pub(crate) struct Transfer {
    /// Provider, by its name in the policy
    #[arg(required_unless_present = "from", requires = "id", conflicts_with = "from")]
    provider: Option<String>,
    /// Id of the object at the provider
    id: Option<String>,
    /// Present holder, whose objects are all transferred
    #[arg(long, value_name = "HOLDER")]
    from: Option<String>,
    /// New holder
    #[arg(long, value_name = "HOLDER")]
    to: String,
    /// Transfer all objects of a holder without asking for confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

impl Transfer {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        match (&self.provider, &self.id, &self.from) {
            (Some(provider), Some(id), _) => self.one(&ObjectKey::new(provider, id)?),
            (_, _, from) => self.all(from.as_deref().unwrap_or_default()),
        }
    }

    fn one(&self, key: &ObjectKey) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let to = holder::find(&self.to, &*registry)?;
        view::print(&registry.transfer_object(&key.digest(), &to)?, self.target.format)?;
        Ok(Exit::Ok)
    }

    fn all(&self, from: &str) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let (from, to) = (holder::find(from, &*registry)?, holder::find(&self.to, &*registry)?);
        confirm(
            &format!(
                "Transfer all objects of {} to {}?",
                visible(&from.to_string()),
                visible(&to.to_string())
            ),
            self.yes,
        )?;
        let mut count: u64 = 0;
        loop {
            let part = registry.transfer_objects(&from, &to)?;
            count = count.saturating_add(part.moved.into());
            if !part.more {
                break;
            }
        }
        if count == 0 {
            output::note(&format!("note: {} holds no object", visible(&from.to_string())));
        }
        match self.target.format {
            Format::Human => output::print(&format!("{count} transferred"))?,
            Format::Json => output::print_json(&json!({"transferred": count}))?,
        }
        Ok(Exit::Ok)
    }
}
