//! `keyswap token rotate`: a successor with the same rights, shown once; the old token works for a grace period.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::selector::Selector;
use super::view;
use crate::command::connection::target::Target;
use crate::command::rate;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};
use crate::registry::SecretText;

/// Replace a token with a new one that has the same rights
///
/// The new token is printed once. The old token works until the grace period is over. Standard output has the new token
/// alone; `--format json` prints `{"token", "sha256", "record", "retiring"}`.
#[derive(Args)]
#[command(after_help = exit::help(
    "  TOKEN=$(keyswap token rotate alice-laptop --grace 24h --database sqlite://keyswap.db)"
))]
pub(crate) struct Rotate {
    #[command(flatten)]
    selector: Selector,
    /// Grace period of the old token, such as `0s`, `10m`, `24h` or `7d`, at most one year
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = rate::parse_grace)]
    grace: Duration,
    #[command(flatten)]
    target: Target,
}

impl Rotate {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let token = self.selector.find(&*registry)?;
        let rotation = registry.rotate_token(&token.digest, self.grace)?;
        let record = &rotation.successor.record;
        let token = rotation.successor.token.as_ref().map(SecretText::expose).unwrap_or_default();
        match self.target.format {
            Format::Human => {
                output::note("# The new token is shown only once: store it now.");
                output::print(token)?;
                output::note(&view::details(record));
                output::note(&format!(
                    "# The old token {} works until {}.",
                    rotation.retiring.id(),
                    rotation.retiring.expires_at().map(|at| at.to_string()).unwrap_or_default()
                ));
            }
            Format::Json => output::print_json(&json!({
                "token": token,
                "sha256": record.digest.to_hex(),
                "record": record,
                "retiring": rotation.retiring,
            }))?,
        }
        Ok(Exit::Ok)
    }
}
