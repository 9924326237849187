//! `keyswap token update`: label, owner, team, scope, models, expiry and rate limit of a token.

use clap::Args;

use super::selector::Selector;
use super::view;
use crate::command::connection::target::Target;
use crate::command::rate;
use crate::command::terminal::exit::{self, Exit};
use crate::registry::{RateLimit, TokenPatch};

/// Change a token; fields without an option stay unchanged
///
/// Data planes use the new values within seconds.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap token update alice-laptop --team research --database sqlite://keyswap.db\n  \
     keyswap token update alice-laptop --provider openai,anthropic --expires-at 2027-06-30T00:00:00Z"
))]
pub(crate) struct Update {
    #[command(flatten)]
    selector: Selector,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    target: Target,
}

/// The fields to change. At least one is given.
#[derive(Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// New label of the token
    #[arg(long)]
    label: Option<String>,
    /// New email address of the token's owner; an empty text removes the owner
    #[arg(long, value_name = "EMAIL")]
    owner: Option<String>,
    /// New team of the token; an empty text removes the token from its team
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Provider that the token may call, or a class of its endpoints such as `openai:files`, replacing all present ones;
    /// repeatable, or separated by commas
    #[arg(long = "provider", value_name = "NAME", value_delimiter = ',')]
    providers: Option<Vec<String>>,
    /// Model that the token may use, replacing all present ones; `*` permits all; repeatable, or separated by commas
    #[arg(long = "model", value_name = "NAME", value_delimiter = ',')]
    models: Option<Vec<String>>,
    /// New expiry of the token, such as `2027-06-30T00:00:00Z`
    #[arg(long, value_name = "TIME", conflicts_with = "no_expiry")]
    expires_at: Option<String>,
    /// Remove the expiry
    #[arg(long)]
    no_expiry: bool,
    /// New rate limit of the token: requests, tokens or both, and a period, such as `60/1m` or `100000t/1m`
    #[arg(long, value_name = "LIMIT/TIME", value_parser = rate::parse, conflicts_with = "no_rate_limit")]
    rate_limit: Option<RateLimit>,
    /// Remove the rate limit
    #[arg(long)]
    no_rate_limit: bool,
}

impl Update {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let token = self.selector.find(&*registry)?;
        view::print(&registry.update_token(&token.digest, self.change.into())?, self.target.format)?;
        Ok(Exit::Ok)
    }
}

impl From<Change> for TokenPatch {
    fn from(change: Change) -> Self {
        Self {
            label: change.label,
            owner: change.owner.map(Some),
            team: change.team.map(Some),
            providers: change.providers,
            models: change.models,
            expires_at: if change.no_expiry { Some(None) } else { change.expires_at.map(Some) },
            rate_limit: if change.no_rate_limit { Some(None) } else { change.rate_limit.map(Some) },
            ..Self::default()
        }
    }
}
