//! Which part of a list a command shows, and how it shows it.

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::table::Table;
use crate::output::{self, Format};
use crate::registry::{Listing, Page, Status};

/// Which part of a list.
#[derive(Args)]
pub(super) struct ListOptions {
    /// Only what has this text in it, in any case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only what has this status
    #[arg(long, value_enum)]
    status: Option<StatusName>,
    /// Show so many at most, the newest first
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
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

impl ListOptions {
    pub(super) fn listing(&self) -> Listing {
        Listing { search: self.search.clone(), status: self.status.map(Status::from), ..Listing::default() }
    }

    pub(super) fn most(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }
}

/// Prints a list: a table, or `{"items", "total"}`.
pub(super) fn print<T: Serialize>(
    page: &Page<T>,
    format: Format,
    table: impl Fn(&[T]) -> Table,
) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print_json(&json!({"items": page.items, "total": page.total})),
        Format::Human => {
            if !page.items.is_empty() {
                output::print(&table(&page.items).to_text())?;
            }
            output::note(&format!("{} of {} shown", page.items.len(), page.total));
            Ok(())
        }
    }
}
