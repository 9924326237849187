//! `keyswap user update`: changes to a user's rights, label, status and rate limit.

use clap::Args;

use super::view;
use crate::command::connection::target::Target;
use crate::command::list::StatusName;
use crate::command::rate;
use crate::command::terminal::exit::{self, Exit};
use crate::registry::{RateLimit, Status, UserPatch};

/// Change a user; fields without an option stay unchanged
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap user update alice@example.com --status disabled --database sqlite://keyswap.db"
))]
pub(crate) struct Update {
    /// Email address of the user
    email: String,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    target: Target,
}

/// The fields to change. At least one is given.
#[derive(Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// New label of the user; an empty text removes the label
    #[arg(long)]
    label: Option<String>,
    /// New team of the user; an empty text removes the user from its team
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Provider that the user may call, or a class of its endpoints such as `openai:files`, replacing all present ones;
    /// repeatable, or separated by commas
    #[arg(long = "provider", value_name = "NAME", value_delimiter = ',')]
    providers: Option<Vec<String>>,
    /// Model that the user may use, replacing all present ones; `*` permits all; repeatable, or separated by commas
    #[arg(long = "model", value_name = "NAME", value_delimiter = ',')]
    models: Option<Vec<String>>,
    /// New status of the user
    #[arg(long, value_enum)]
    status: Option<StatusName>,
    /// New rate limit of the user: requests, tokens or both, and a period, such as `60/1m` or `100000t/1m`
    #[arg(long, value_name = "LIMIT/TIME", value_parser = rate::parse, conflicts_with = "no_rate_limit")]
    rate_limit: Option<RateLimit>,
    /// Remove the rate limit
    #[arg(long)]
    no_rate_limit: bool,
}

impl Update {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let user = self.target.open()?.update_user(&self.email, self.change.into())?;
        view::print(&user, self.target.format)?;
        Ok(Exit::Ok)
    }
}

impl From<Change> for UserPatch {
    fn from(change: Change) -> Self {
        Self {
            label: change.label,
            team: change.team.map(Some),
            providers: change.providers,
            models: change.models,
            status: change.status.map(Status::from),
            rate_limit: if change.no_rate_limit { Some(None) } else { change.rate_limit.map(Some) },
            version: None,
        }
    }
}
