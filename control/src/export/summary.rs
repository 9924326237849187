//! Sums of usage as CSV: a line for each value of a dimension.

use super::csv::Csv;
use crate::registry::{UsageBy, UsageLine, amount};

/// Returns the lines as CSV. Costs are exact dollars.
pub(crate) fn summary(by: UsageBy, lines: &[UsageLine]) -> String {
    let mut csv = Csv::of(&[
        by.name(),
        "label",
        "requests",
        "unmetered",
        "unpriced",
        "input",
        "cached",
        "cache_write",
        "output",
        "reasoning",
        "audio",
        "usd",
    ]);
    for line in lines {
        let mut cells = vec![line.key.clone(), line.label.clone()];
        let [counts @ .., cost] = line.counts.numbers();
        cells.extend(counts.map(|number| number.to_string()));
        cells.push(amount::dollars(cost));
        csv.row(&cells);
    }
    csv.into_text()
}
