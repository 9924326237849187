//! `keyswap user create`: a user in a registry.

use clap::Args;

use super::view;
use crate::command::connection::target::Target;
use crate::command::rate;
use crate::command::terminal::exit::{self, Exit};
use crate::registry::{NewUser, RateLimit};

/// Put a user into the registry
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap user create alice@example.com --provider openai --database sqlite://keyswap.db"
))]
pub(crate) struct Create {
    /// The user's email address
    email: String,
    /// What people call the user
    #[arg(long)]
    label: Option<String>,
    /// A provider that the user may call; repeat it, or separate names by commas
    #[arg(long = "provider", value_name = "NAME", value_delimiter = ',')]
    providers: Vec<String>,
    /// A model that the user may call; all unless some are named
    #[arg(long = "model", value_name = "NAME", value_delimiter = ',')]
    models: Vec<String>,
    /// How often the user may call: requests and a time, such as `60/1m`
    #[arg(long, value_name = "REQUESTS/TIME", value_parser = rate::parse)]
    rate_limit: Option<RateLimit>,
    #[command(flatten)]
    target: Target,
}

impl Create {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let new = NewUser {
            email: self.email,
            label: self.label,
            providers: self.providers,
            models: self.models,
            rate_limit: self.rate_limit,
        };
        view::print(&self.target.open_or_make()?.create_user(new)?, self.target.format)?;
        Ok(Exit::Ok)
    }
}
