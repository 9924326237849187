//! `keyswap user list`: the users of a registry.

use clap::Args;

use super::view;
use crate::command::list_options::{self, ListOptions};
use crate::command::target::Target;
use crate::exit::{self, Exit};

/// List users, the newest first
#[derive(Args)]
#[command(after_help = exit::help("  keyswap user list --status disabled --database sqlite://keyswap.db"))]
pub(crate) struct List {
    #[command(flatten)]
    options: ListOptions,
    #[command(flatten)]
    target: Target,
}

impl List {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let session = self.target.open()?;
        let page = session.collect(self.options.listing(), self.options.most(), async |listing| {
            session.registry.users(&listing).await
        })?;
        list_options::print(&page, self.target.format, view::table)?;
        Ok(Exit::Ok)
    }
}
