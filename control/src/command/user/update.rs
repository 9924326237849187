//! `keyswap user update`: other rights, another label, another status.

use clap::Args;

use super::view;
use crate::command::connection::target::Target;
use crate::command::list::StatusName;
use crate::command::rate;
use crate::command::terminal::exit::{self, Exit};
use crate::registry::{RateLimit, Status, UserPatch};

/// Change a user: what is not named stays as it is
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap user update alice@example.com --status disabled --database sqlite://keyswap.db"
))]
pub(crate) struct Update {
    /// The user's email address
    email: String,
    /// What people call the user; an empty one takes the label away
    #[arg(long)]
    label: Option<String>,
    /// All providers that the user may call from now on; repeat it, or separate names by commas
    #[arg(long = "provider", value_name = "NAME", value_delimiter = ',')]
    providers: Option<Vec<String>>,
    /// All models that the user may call from now on; `*` is all
    #[arg(long = "model", value_name = "NAME", value_delimiter = ',')]
    models: Option<Vec<String>>,
    /// Whether the user may call at all
    #[arg(long, value_enum)]
    status: Option<StatusName>,
    /// How often the user may call: requests and a time, such as `60/1m`
    #[arg(long, value_name = "REQUESTS/TIME", value_parser = rate::parse, conflicts_with = "no_rate_limit")]
    rate_limit: Option<RateLimit>,
    /// Take the rate limit away
    #[arg(long)]
    no_rate_limit: bool,
    #[command(flatten)]
    target: Target,
}

impl Update {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let patch = UserPatch {
            label: self.label,
            providers: self.providers,
            models: self.models,
            status: self.status.map(Status::from),
            rate_limit: if self.no_rate_limit { Some(None) } else { self.rate_limit.map(Some) },
        };
        view::print(&self.target.open()?.update_user(&self.email, patch)?, self.target.format)?;
        Ok(Exit::Ok)
    }
}
