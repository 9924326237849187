//! Lists: a search, a table that is kept current, the way to older entries.

use maud::{Markup, html};
use serde::Deserialize;

use crate::registry::{Listing, Status};

/// The part of a list that a query asks for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    pub(super) search: String,
    pub(super) status: String,
    after: Option<i64>,
}

impl Wanted {
    /// Returns the status that entries must have, if it is one.
    pub(super) fn status(&self) -> Option<Status> {
        [Status::Active, Status::Disabled].into_iter().find(|status| status.name() == self.status)
    }

    /// Entries of any status.
    pub(super) fn listing(&self) -> Listing {
        let search = Some(self.search.clone()).filter(|text| !text.is_empty());
        Listing { search, status: None, after: self.after, limit: None }
    }
}

/// Returns the form that narrows a list down; `more` are fields beside the search.
pub(super) fn filter(address: &str, search: &str, more: &Markup) -> Markup {
    html! {
        form .filter method="get" action=(address) role="search" {
            label { "Search" input type="search" name="search" value=(search); }
            (more)
            button { "Show" }
        }
    }
}

/// Returns rows, each a `tr`, under the names of their columns.
pub(super) fn table(columns: &[&str], rows: &[Markup]) -> Markup {
    html! {
        div .table {
            table {
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { @for row in rows { (row) } }
            }
        }
    }
}

/// A list, which the script keeps current if it is `live`.
pub(super) struct List<'a> {
    /// The noun for an entry, in singular and plural.
    pub(super) names: (&'a str, &'a str),
    pub(super) columns: &'a [&'a str],
    /// Rows as `tr`.
    pub(super) rows: Vec<Markup>,
    /// The number of entries on all pages, where the page shows it.
    pub(super) total: Option<i64>,
    /// The address of this list without its end.
    pub(super) address: &'a str,
    /// The query of this list: names and values.
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) next: Option<i64>,
    pub(super) live: bool,
}

impl List<'_> {
    pub(super) fn markup(&self) -> Markup {
        html! {
            section #live aria-label={ "List of " (self.names.1) } data-live[self.live] {
                @if self.rows.is_empty() {
                    p .empty { "There are no " (self.names.1) " here." }
                } @else {
                    @if let Some(total) = self.total {
                        p .count { (total) " " (if total == 1 { self.names.0 } else { self.names.1 }) }
                    }
                    (table(self.columns, &self.rows))
                    (self.older())
                }
            }
        }
    }

    fn older(&self) -> Markup {
        let Some(next) = self.next else { return Markup::default() };
        let query = serde_urlencoded::to_string(self.query).unwrap_or_default();
        html! { p .more { a .button href={ (self.address) "?" (query) "&after=" (next) } { "Older entries" } } }
    }
}
