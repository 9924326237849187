//! `keyswap budget show`: a subject's budget, what is left and when it resets.

use clap::Args;

use super::subject::Subject;
use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};

/// Show the budget of a subject: what is spent, what is left, and when it resets
#[derive(Args)]
#[command(after_help = exit::help("  keyswap budget show team:research --database sqlite://keyswap.db"))]
pub(crate) struct Show {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let subject = self.subject.find(&*registry)?;
        view::print(&registry.budget(&subject)?, self.target.format)?;
        Ok(Exit::Ok)
    }
}
