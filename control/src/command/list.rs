//! The arguments and the output of `token list` and `user list`.

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::connection::operations::{Operations, collect};
use super::connection::target::Target;
use super::terminal::exit::Exit;
use super::terminal::output::{self, Format};
use super::terminal::table::Table;
use crate::registry::{Attention, Listing, Page, Status};

/// The arguments of a listing: filters, length, registry.
#[derive(Args)]
pub(super) struct Arguments {
    /// Show only entries that contain this text, ignoring case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Show only entries with this status
    #[arg(long, value_enum)]
    status: Option<StatusName>,
    /// Maximum number of entries to show, newest first
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    target: Target,
}

/// The status of a token or user on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum StatusName {
    /// Requests are accepted
    Active,
    /// Requests are refused
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
    /// Prints the entries that `page` returns, as a table or as `{"items", "total"}`. Only tokens need attention.
    pub(super) fn run<T: Serialize>(
        self,
        attention: Option<Attention>,
        page: impl Fn(&dyn Operations, &Listing) -> anyhow::Result<Page<T>>,
        table: impl Fn(&[T]) -> Table,
    ) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let status = self.status.map(Status::from);
        let listing = Listing { search: self.search, status, attention, ..Listing::default() };
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
