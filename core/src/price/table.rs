//! Prices by provider and model: the policy's own, and the table that the engine is shipped with.
//!
//! The table is text, sorted within a section for each provider, and searched where it stands: a row is read when its
//! model is asked for. A model without a price is unpriced, never free.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::names::candidates;
use super::row::read_row;
use super::sheet::Price;

/// The shipped table. `keyswap prices update FILE --shipped` writes it.
static SHIPPED: &str = include_str!("table.txt");

/// The prices of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    overrides: BTreeMap<String, Price>,
}

/// A table of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<'t> {
    /// The day of the prices: `2026-11-27`.
    pub date: &'t str,
    /// The rows of each provider.
    sections: Vec<(&'t str, &'t str)>,
}

/// A price that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'p> {
    /// The name of the row, which is one of a bounded number of names.
    pub name: &'p str,
    /// The price.
    pub price: Price,
    /// The origin.
    pub origin: Origin<'p>,
}

/// The origin of a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'p> {
    /// The policy.
    Policy,
    /// The shipped table, with the provider whose row it is.
    Shipped(&'p str),
}

impl Prices {
    /// Returns the shipped prices, with a policy's own in front.
    pub fn new(overrides: BTreeMap<String, Price>) -> Self {
        Self { overrides }
    }

    /// Returns the policy's own prices, by model or by provider and model.
    pub fn overrides(&self) -> impl Iterator<Item = (&str, &Price)> {
        self.overrides.iter().map(|(name, price)| (name.as_str(), price))
    }

    /// Returns the day of the shipped table.
    pub fn date(&self) -> &str {
        Table::shipped().date
    }

    /// Returns the price of a model at a provider; `None` for one that is unpriced.
    ///
    /// A price of the policy holds for every name of the model, and comes before the table. The most exact name comes
    /// first in each.
    pub fn find<'p>(&'p self, provider: &'p str, model: &'p str) -> Option<Found<'p>> {
        let candidates = candidates(provider, model);
        let own = |(provider, model): &(&str, &str)| {
            let found = self.overrides.get_key_value(format!("{provider}/{model}").as_str());
            found.or_else(|| self.overrides.get_key_value(*model))
        };
        if !self.overrides.is_empty()
            && let Some((name, price)) = candidates.iter().find_map(own)
        {
            return Some(Found { name, price: price.clone(), origin: Origin::Policy });
        }
        Table::shipped().first(&candidates)
    }
}

impl Table<'static> {
    /// Returns the shipped table, which is read when it is first asked for.
    pub fn shipped() -> &'static Self {
        static TABLE: LazyLock<Table<'static>> = LazyLock::new(|| Table::read(SHIPPED));
        &TABLE
    }
}

impl<'t> Table<'t> {
    /// Reads a table: its date in the first line, then a line `# provider` before the rows of each provider.
    pub fn read(text: &'t str) -> Self {
        let (date, mut rest) = text.split_once('\n').unwrap_or((text, ""));
        let mut sections = Vec::new();
        while let Some(section) = rest.strip_prefix("# ") {
            let (provider, rows) = section.split_once('\n').unwrap_or((section, ""));
            let (rows, behind) = match rows.find("\n# ") {
                _ if rows.starts_with("# ") => ("", rows),
                Some(end) => rows.split_at_checked(end.saturating_add(1)).unwrap_or((rows, "")),
                None => (rows, ""),
            };
            sections.push((provider, rows.trim_end_matches('\n')));
            rest = behind;
        }
        Self { date, sections }
    }

    /// Returns the rows as they stand, each with its provider.
    pub fn rows(&self) -> impl Iterator<Item = (&'t str, &'t str)> {
        self.sections.iter().flat_map(|(provider, rows)| rows.lines().map(move |row| (*provider, row)))
    }

    /// Returns the price of a model at a provider.
    pub fn find(&self, provider: &str, model: &str) -> Option<Found<'t>> {
        self.first(&candidates(provider, model))
    }

    fn first(&self, candidates: &[(&str, &str)]) -> Option<Found<'t>> {
        candidates.iter().find_map(|(provider, model)| {
            let (provider, rows) = self.sections.iter().find(|(own, _)| own == provider)?;
            let (name, price) = read_row(search(rows, model)?)?;
            Some(Found { name, price, origin: Origin::Shipped(provider) })
        })
    }
}

/// Returns the row of a name in sorted rows.
fn search<'t>(mut rows: &'t str, name: &str) -> Option<&'t str> {
    while !rows.is_empty() {
        // A row is taken from around the middle; names and rates are ASCII or whole characters between line ends.
        let middle = (0..=rows.len() / 2).rev().find(|at| rows.is_char_boundary(*at))?;
        let (before, after) = rows.split_at_checked(middle)?;
        let start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let end = after.find('\n').map_or(rows.len(), |at| middle.saturating_add(at));
        let row = rows.get(start..end)?;
        let own = row.split(' ').next()?;
        match name.cmp(own) {
            std::cmp::Ordering::Equal => return Some(row),
            std::cmp::Ordering::Less => rows = rows.get(..start.checked_sub(1)?)?,
            std::cmp::Ordering::Greater => rows = rows.get(end.checked_add(1)?..)?,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "2026-11-27\n# anthropic\nclaude-a - 3,15\n# azure-openai\n# openai\na - 1,1\nb - 2,2\nbb - 3,3\nc/d - 4,4\ne - 5,5\n";

    #[test]
    fn each_row_is_found_in_its_section_and_no_other_name_is() {
        let table = Table::read(TABLE);
        assert_eq!(table.date, "2026-11-27");
        let rows: Vec<_> = table.rows().collect();
        assert_eq!(rows.len(), 6, "{rows:?}");
        for (provider, row) in rows {
            let (name, price) = read_row(row).unwrap();
            let origin = Origin::Shipped(provider);
            assert_eq!(table.find(provider, name), Some(Found { name, price, origin }));
        }
        for (provider, name) in
            [("openai", ""), ("openai", "0"), ("openai", "bc"), ("openai", "z"), ("anthropic", "a")]
        {
            assert_eq!(table.find(provider, name), None, "{provider} {name}");
        }
        assert_eq!(table.find("azure-openai", "e-2026-01-01").unwrap().origin, Origin::Shipped("openai"));
        assert_eq!(Table::read("").rows().count(), 0);
    }

    #[test]
    fn a_price_of_the_policy_comes_first_under_every_name_of_the_model() {
        let price = |row: &str| read_row(row).unwrap().1;
        let overrides = [("gpt-5", "m - 7,7"), ("groq/gpt-5", "m - 8,8"), ("openai/own", "m - 9,9")];
        let overrides = overrides.map(|(name, row)| (name.to_owned(), price(row)));
        let prices = Prices::new(BTreeMap::from(overrides));
        for (provider, model, expect) in [
            ("openai", "gpt-5", Some("m - 7,7")),
            ("openai", "gpt-5-2025-08-07", Some("m - 7,7")),
            ("vercel", "openai/gpt-5", Some("m - 7,7")),
            ("groq", "gpt-5", Some("m - 8,8")),
            ("vercel", "openai/own", Some("m - 9,9")),
            ("anthropic", "own", None),
        ] {
            let found = prices.find(provider, model);
            assert_eq!(found.map(|found| found.price), expect.map(price), "{provider} {model}");
        }
    }

    #[test]
    fn the_shipped_table_is_sorted_dated_small_and_read_to_its_last_row() {
        let table = Table::shipped();
        assert!(SHIPPED.len() <= 40 * 1024, "{} bytes", SHIPPED.len());
        assert_eq!(table.date.len(), 10);
        for (provider, rows) in &table.sections {
            let names: Vec<_> = rows.lines().filter_map(|row| row.split(' ').next()).collect();
            assert!(names.is_sorted() && names.len() == rows.lines().count(), "{provider}");
            for row in rows.lines() {
                let (name, price) = read_row(row).unwrap_or_else(|| panic!("{provider}: {row}"));
                assert_eq!(table.find(provider, name).map(|found| found.price), Some(price), "{row}");
            }
        }
        assert!(table.find("openai", "gpt-5").is_some() && table.find("openai", "no-such-model").is_none());
    }
}
