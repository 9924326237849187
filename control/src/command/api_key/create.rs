//! `keyswap api-key create`: a new API key of a registry, shown once.

use std::time::Duration;

use clap::{Args, ValueEnum};
use keyswap_core::base::UnixTime;
use serde_json::json;

use super::view;
use crate::command::connection::target::Target;
use crate::command::rate;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};
use crate::registry::{AdminRole, NewApiKey, RoleName, now};

/// Create an API key and print it once
///
/// Programs send the key as a Bearer credential to the administration API, and this command sends the one in `KEYSWAP_API_KEY`.
/// Standard output has the key alone; `--format json` prints `{"api_key", "sha256", "record"}`. A key makes no other keys.
#[derive(Args)]
#[command(after_help = exit::help(
    "  KEYSWAP_API_KEY=$(keyswap api-key create terraform --role team_owner --team red --database sqlite://keyswap.db)"
))]
pub(crate) struct Create {
    /// Name of the program, which no other key has
    name: String,
    /// Role of the key
    #[arg(long, value_enum)]
    role: Name,
    /// Team of a `team_owner`; repeatable, or separated by commas
    #[arg(long = "team", value_name = "NAME", value_delimiter = ',')]
    teams: Vec<String>,
    /// Email address of the person of `self_service`
    #[arg(long)]
    email: Option<String>,
    /// Time until the key expires, at most `366d`
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = rate::parse_expiry)]
    expires_in: Duration,
    #[command(flatten)]
    target: Target,
}

/// The name of a role on the command line.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Name {
    /// Everything
    Admin,
    /// Reads everything, changes nothing
    Auditor,
    /// The tokens, users and budgets of teams
    TeamOwner,
    /// A person's own tokens
    SelfService,
}

impl From<Name> for RoleName {
    fn from(name: Name) -> Self {
        match name {
            Name::Admin => Self::Admin,
            Name::Auditor => Self::Auditor,
            Name::TeamOwner => Self::TeamOwner,
            Name::SelfService => Self::SelfService,
        }
    }
}

impl Create {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let role = AdminRole::new(self.role.into(), &self.teams, self.email.as_deref())?;
        let seconds = i64::try_from(self.expires_in.as_secs()).unwrap_or(i64::MAX);
        let expires_at = UnixTime(now().0.saturating_add(seconds));
        let registry = self.target.open_or_make()?;
        let NewApiKey { key, record } = registry.create_api_key(&self.name, role, expires_at)?;
        let key = key.expose();
        match self.target.format {
            Format::Human => {
                output::note("# The key is shown only once: store it now.");
                output::print(key)?;
                output::note(&view::table(std::slice::from_ref(&record)).as_paragraphs());
            }
            Format::Json => output::print_json(
                &json!({"api_key": key, "sha256": record.digest.to_hex(), "record": record}),
            )?,
        }
        Ok(Exit::Ok)
    }
}
