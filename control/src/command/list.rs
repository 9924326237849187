//! `token list` and `user list`: which part of a list is shown, and how.

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::connection::operations::{Operations, collect};
use super::connection::target::Target;
use super::terminal::exit::Exit;
use super::terminal::output::{self, Format};
use super::terminal::table::Table;
use crate::registry::{Listing, Page, Status};

/// A part of a list of a registry.
#[derive(Args)]
pub(super) struct Arguments {
    /// Only what has this text in it, in any case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only what has this status
    #[arg(long, value_enum)]
    status: Option<StatusName>,
    /// Show so many at most, the newest first
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    target: Target,
}

/// [`Status`], as the command line has it.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum StatusName {
    /// It may be used
    Active,
    /// It was taken back
    Disabled,
}

impl From<StatusName> for Status {
    fn from(name: StatusName) -> Self {
        match name {
            StatusName::Active => Self::Active,
            StatusName::Disabled => Self::Disabled,
        }
    }
}

impl Arguments {
    /// Prints the list that `page` gives: a table, or `{"items", "total"}`.
    pub(super) fn run<T: Serialize>(
        self,
        page: impl Fn(&dyn Operations, &Listing) -> anyhow::Result<Page<T>>,
        table: impl Fn(&[T]) -> Table,
    ) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let status = self.status.map(Status::from);
        let listing = Listing { search: self.search, status, ..Listing::default() };
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let all = collect(listing, most, |listing| page(&*registry, listing))?;
        match self.target.format {
            Format::Json => output::print_json(&json!({"items": all.items, "total": all.total}))?,
            Format::Human => {
                if !all.items.is_empty() {
                    output::print(&table(&all.items).to_text())?;
                }
                output::note(&format!("{} of {} shown", all.items.len(), all.total));
            }
        }
        Ok(Exit::Ok)
    }
}
