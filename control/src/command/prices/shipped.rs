//! The table that the engine is shipped with: each row that no other rule finds.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use keyswap_core::price::{Found, Origin, Price, Table, candidates, write_row};

use super::catalog::{Catalog, is_covered};

/// Writes the table.
///
/// # Errors
/// A price that the written table does not find again.
pub(super) fn write(catalog: &Catalog, date: &str) -> anyhow::Result<String> {
    let mut sections: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (provider, name, price) in catalog.iter() {
        let other = candidates(provider, name).into_iter().skip(1).find_map(|(of, model)| {
            let price = catalog.get(of, model)?.clone();
            Some(Found { name: model, price, origin: Origin::Shipped(of) })
        });
        if !is_covered(provider, price, other.as_ref()) {
            let row = write_row(name, price).with_context(|| format!("`{name}` cannot stand in a row"))?;
            sections.entry(provider).or_default().push(row);
        }
    }
    let mut text = format!("{date}\n");
    for (provider, mut rows) in sections {
        rows.sort_by(|first, second| name_of(first).cmp(name_of(second)));
        write!(text, "# {provider}\n{}\n", rows.join("\n"))?;
    }
    verify(catalog, &Table::read(&text))?;
    Ok(text)
}

fn name_of(row: &str) -> &str {
    row.split(' ').next().unwrap_or(row)
}

/// Checks that the table finds a price for every model, the same in what it says.
fn verify(catalog: &Catalog, table: &Table<'_>) -> anyhow::Result<()> {
    for (provider, name, price) in catalog.iter() {
        let found: Option<Price> = table.find(provider, name).map(|found| found.price);
        let is_same =
            table.find(provider, name).is_some_and(|found| is_covered(provider, price, Some(&found)));
        ensure!(is_same, "`{provider}/{name}` would have another price: {found:?} in place of {price:?}");
    }
    Ok(())
}
