//! Lists: a search form, a table that the script refreshes, a link to older entries.

use maud::{Markup, html};
use serde::Deserialize;

use crate::registry::{Listing, Status};

/// The query parameters that select a part of a list.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    pub(super) search: String,
    pub(super) status: String,
    after: Option<i64>,
}

impl Wanted {
    /// Returns the status that entries must have, `None` for any.
    pub(super) fn status(&self) -> Option<Status> {
        [Status::Active, Status::Disabled].into_iter().find(|status| status.name() == self.status)
    }

    /// Returns the listing, with entries of any status.
    pub(super) fn listing(&self) -> Listing {
        let search = Some(self.search.clone()).filter(|text| !text.is_empty());
        Listing { search, after: self.after, ..Listing::default() }
    }
}

/// Returns the search form of a list. `more` are fields beside the search.
pub(super) fn filter(address: &str, search: &str, more: &Markup) -> Markup {
    html! {
        form .filter method="get" action=(address) role="search" {
            label { "Search" input type="search" name="search" value=(search); }
            (more)
            button { "Show" }
        }
    }
}

/// Returns a table. Each row is a `tr`.
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

/// A list. The script refreshes it if `live` is set.
pub(super) struct List<'a> {
    /// The noun for an entry, in singular and plural.
    pub(super) names: (&'a str, &'a str),
    pub(super) columns: &'a [&'a str],
    /// The rows, each a `tr`.
    pub(super) rows: Vec<Markup>,
    /// The number of entries on all pages, `None` to hide it.
    pub(super) total: Option<i64>,
    /// The path of the list's page.
    pub(super) address: &'a str,
    /// The query parameters of the list: names and values.
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) next: Option<i64>,
    pub(super) live: bool,
}

impl List<'_> {
    pub(super) fn markup(&self) -> Markup {
        html! {
            section #live aria-label={ "List of " (self.names.1) } data-live[self.live] {
                @if self.rows.is_empty() {
                    p .empty { "No " (self.names.1) "." }
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
