//! `keyswap user offboard`: disables a leaver, the user and all tokens of the address.

use clap::Args;

use crate::command::connection::target::Target;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};
use crate::registry::{Offboarded, Status};

/// Disable a leaver: the user, and all tokens whose owner has the address
///
/// Prints what will be disabled, and asks. All of it is disabled together, also what was added meanwhile. Each part can be
/// enabled again.
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
        let mut owned = registry.owned_by(&self.email)?;
        owned.user = owned.user.filter(|user| user.status == Status::Active);
        owned.tokens.retain(|token| token.status == Status::Active);
        for line in lines(&owned) {
            output::note(&line);
        }
        let is_nothing = owned.user.is_none() && owned.tokens.is_empty();
        if !is_nothing {
            confirm(&format!("Disable all of this for {}?", visible(&self.email)), self.yes)?;
        }
        let done = registry.offboard(&self.email)?;
        match self.target.format {
            Format::Json => output::print_json(&done)?,
            Format::Human => output::print(&format!(
                "disabled: {} tokens, {} user",
                done.tokens.len(),
                u8::from(done.user.is_some())
            ))?,
        }
        Ok(Exit::Ok)
    }
}

fn lines(owned: &Offboarded) -> Vec<String> {
    let user = owned.user.iter().map(|user| format!("user   {}", visible(&user.email)));
    let token = owned.tokens.iter().map(|token| format!("token  {} {}", token.id(), visible(&token.label)));
    user.chain(token).collect()
}
