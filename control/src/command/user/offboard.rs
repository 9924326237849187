//! `keyswap user offboard`: disables a leaver, the user and all tokens of the address.

use anyhow::ensure;
use clap::Args;

use crate::command::connection::target::Target;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};
use crate::registry::{Offboarded, Status};

/// Disable a leaver: the user, and all tokens whose owner has the address
///
/// Prints what will be disabled, and asks. All of it is disabled together, also what was added meanwhile. Each part can be
/// enabled again. An address of no user and no token is an error.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap user offboard alice@example.com --yes --database sqlite://keyswap.db"
))]
pub(crate) struct Offboard {
    /// Email address of the leaver
    email: String,
    /// Disable without asking for confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

impl Offboard {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let owned = registry.owned_by(&self.email)?;
        ensure!(
            owned.user.is_some() || !owned.tokens.is_empty() || !owned.api_keys.is_empty(),
            "no user and no token of this registry has this address: check its spelling"
        );
        let lines = lines(&active(owned));
        if !lines.is_empty() {
            output::note(&lines.join("\n"));
            confirm(&format!("Disable all of this for {}?", visible(&self.email)), self.yes)?;
        }
        let done = registry.offboard(&self.email)?;
        if !done.api_keys.is_empty() {
            output::note(&remaining(&done.api_keys));
        }
        match self.target.format {
            Format::Json => output::print_json(&done)?,
            Format::Human if done.user.is_none() && done.tokens.is_empty() => {
                output::print("nothing to disable: all of it was disabled already")?;
            }
            Format::Human => output::print(&format!(
                "disabled: {} tokens, {} user",
                done.tokens.len(),
                u8::from(done.user.is_some())
            ))?,
        }
        Ok(Exit::Ok)
    }
}

/// Returns what is active.
fn active(owned: Offboarded) -> Offboarded {
    let Offboarded { user, mut tokens, api_keys } = owned;
    tokens.retain(|token| token.status == Status::Active);
    Offboarded { user: user.filter(|user| user.status == Status::Active), tokens, api_keys }
}

/// Returns the note about API keys that the leaver has created and that still work.
fn remaining(api_keys: &[String]) -> String {
    let names: Vec<_> = api_keys.iter().map(|name| visible(name)).collect();
    format!(
        "API keys of the leaver still work, revoke them by `keyswap api-key revoke`: {}",
        names.join(", ")
    )
}

/// Returns a line for the user, and one for each token.
fn lines(owned: &Offboarded) -> Vec<String> {
    let user = owned.user.iter().map(|user| format!("user   {}", visible(&user.email)));
    let token = owned.tokens.iter().map(|token| format!("token  {} {}", token.id(), visible(&token.label)));
    user.chain(token).collect()
}
