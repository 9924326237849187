//! `keyswap budget delete`: removes the budget of a subject.

use clap::Args;
use serde_json::json;

use super::subject::Subject;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};

/// Delete the budget of a subject: the policy's budget applies again, if there is one
#[derive(Args)]
#[command(after_help = exit::help("  keyswap budget delete team:research --database sqlite://keyswap.db"))]
pub(crate) struct Delete {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    target: Target,
}

impl Delete {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let subject = self.subject.find(&*registry)?;
        registry.delete_budget(&subject)?;
        match self.target.format {
            Format::Human => {
                output::print(&format!("deleted the budget of {}", visible(&subject.to_string())))?;
            }
            Format::Json => output::print_json(&json!({"deleted": subject}))?,
        }
        Ok(Exit::Ok)
    }
}
