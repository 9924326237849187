//! Lists: a search form, a table that the script refreshes, links to the pages before and after.
//!
//! The address of a page holds all that selects its entries, so that it can be kept and passed on.

use maud::{Markup, html};
use serde::Deserialize;

use crate::registry::{Attention, Listing, Order, Status};

/// The entries of a page.
const PAGE_SIZE: u32 = 50;

/// The query parameters that select a part of a list.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    pub(super) search: String,
    pub(super) status: String,
    pub(super) attention: String,
    pub(super) sort: String,
    page: Option<u32>,
}

impl Wanted {
    /// Returns the status that entries must have, `None` for any.
    pub(super) fn status(&self) -> Option<Status> {
        [Status::Active, Status::Disabled].into_iter().find(|status| status.name() == self.status)
    }

    /// Returns the attention that tokens must need, `None` for any tokens.
    pub(super) fn attention(&self) -> Option<Attention> {
        Attention::from_name(&self.attention)
    }

    pub(super) fn order(&self) -> Order {
        Order::from_name(&self.sort).unwrap_or_default()
    }

    /// Returns true if entries are left out.
    pub(super) fn is_narrowed(&self) -> bool {
        !self.search.is_empty() || self.status().is_some() || self.attention().is_some()
    }

    pub(super) fn listing(&self) -> Listing {
        Listing {
            search: Some(self.search.clone()).filter(|text| !text.is_empty()),
            status: self.status(),
            attention: self.attention(),
            order: self.order(),
            skip: skip(self.page),
            ..Listing::default()
        }
    }

    /// Returns the links of a list at this address. `more` is set if a page follows.
    pub(super) fn pages<'a>(&'a self, address: &'a str, more: bool) -> Pages<'a> {
        let query: [(&str, &str); 4] = [
            ("search", self.search.as_str()),
            ("status", &self.status),
            ("attention", &self.attention),
            ("sort", &self.sort),
        ];
        Pages::numbered(address, query.to_vec(), self.page, more)
    }
}

/// Returns the number of entries before a page. Pages are counted from 1 on.
pub(super) fn skip(page: Option<u32>) -> u32 {
    page.unwrap_or(1).saturating_sub(1).saturating_mul(PAGE_SIZE)
}

/// The links to the pages before and after the present one.
pub(super) struct Pages<'a> {
    address: &'a str,
    query: Vec<(&'a str, &'a str)>,
    /// The words, the parameter and its value of a link.
    before: Option<(&'static str, &'static str, String)>,
    after: Option<(&'static str, &'static str, String)>,
}

impl<'a> Pages<'a> {
    /// Returns no links.
    pub(super) fn none() -> Self {
        Self { address: "", query: Vec::new(), before: None, after: None }
    }

    /// Returns the links of numbered pages. `more` is set if a page follows.
    pub(super) fn numbered(
        address: &'a str,
        query: Vec<(&'a str, &'a str)>,
        page: Option<u32>,
        more: bool,
    ) -> Self {
        let page = page.unwrap_or(1).max(1);
        let before = (page > 1).then(|| ("Previous page", "page", (page - 1).to_string()));
        let after = more.then(|| ("Next page", "page", page.saturating_add(1).to_string()));
        Self { address, query, before, after }
    }

    /// Returns the links of pages that continue behind an entry. `is_first` is set on the first page.
    pub(super) fn continued(
        address: &'a str,
        query: Vec<(&'a str, &'a str)>,
        is_first: bool,
        next: Option<i64>,
    ) -> Self {
        let before = (!is_first).then(|| ("Newest entries", "after", String::new()));
        Self { address, query, before, after: next.map(|next| ("Older entries", "after", next.to_string())) }
    }

    fn markup(&self) -> Markup {
        if self.before.is_none() && self.after.is_none() {
            return Markup::default();
        }
        html! {
            nav .more aria-label="Pages" {
                @for (words, name, value) in [&self.before, &self.after].into_iter().flatten() {
                    a .button href=(self.link(name, value)) { (words) }
                }
            }
        }
    }

    fn link(&self, name: &str, value: &str) -> String {
        let query = self.query.iter().copied().chain([(name, value)]).filter(|(_, value)| !value.is_empty());
        let query = serde_urlencoded::to_string(query.collect::<Vec<_>>()).unwrap_or_default();
        if query.is_empty() { self.address.to_owned() } else { format!("{}?{query}", self.address) }
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

/// Returns a choice of one value. Choices are values and words.
pub(super) fn select(label: &str, name: &str, chosen: &str, choices: &[(&str, &str)]) -> Markup {
    html! {
        label { (label)
            select name=(name) {
                @for (value, words) in choices { option value=(value) selected[*value == chosen] { (words) } }
            }
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
    pub(super) pages: Pages<'a>,
    /// The first steps, in the place of an empty list from which nothing was left out.
    pub(super) first_steps: Option<Markup>,
    pub(super) live: bool,
}

impl List<'_> {
    pub(super) fn markup(&self) -> Markup {
        html! {
            section #live aria-label={ "List of " (self.names.1) } data-live[self.live] {
                @if self.rows.is_empty() {
                    p .empty { "No " (self.names.1) "." }
                    @if let Some(steps) = &self.first_steps { div .card { (steps) } }
                } @else {
                    @if let Some(total) = self.total {
                        p .count { (total) " " (if total == 1 { self.names.0 } else { self.names.1 }) }
                    }
                    (table(self.columns, &self.rows))
                }
                (self.pages.markup())
            }
        }
    }
}
