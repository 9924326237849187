//! `keyswap user create`: a new user in a registry.

use clap::Args;

use super::view;
use crate::command::connection::target::Target;
use crate::command::rate;
use crate::command::terminal::exit::{self, Exit};
use crate::registry::{NewUser, RateLimit};

/// Create a user in the registry
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap user create alice@example.com --provider openai --database sqlite://keyswap.db"
))]
pub(crate) struct Create {
    /// Email address of the user
    email: String,
    /// Label of the user
    #[arg(long)]
    label: Option<String>,
    /// Team of the user, to which a policy may bind a credential: 1 to 64 letters, digits, `-` or `_`
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Provider that the user may call, or a class of its endpoints such as `openai:files`; repeatable, or separated by
    /// commas
    #[arg(long = "provider", value_name = "NAME", value_delimiter = ',')]
    providers: Vec<String>,
    /// Model that the user may use (default: all); repeatable, or separated by commas
    #[arg(long = "model", value_name = "NAME", value_delimiter = ',')]
    models: Vec<String>,
    /// Rate limit of the user: requests, tokens or both, and a period, such as `60/1m` or `100000t/1m`
    #[arg(long, value_name = "LIMIT/TIME", value_parser = rate::parse)]
    rate_limit: Option<RateLimit>,
    #[command(flatten)]
    target: Target,
}

impl Create {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let new = NewUser {
            email: self.email,
            label: self.label,
            team: self.team,
            providers: self.providers,
            models: self.models,
            rate_limit: self.rate_limit,
        };
        view::print(&self.target.open_or_make()?.create_user(new)?, self.target.format)?;
        Ok(Exit::Ok)
    }
}
