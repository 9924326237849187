//! The spending of the requests of a log: what a new policy would have refused and saved, and what the rest costs.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use keyswap_core::judge::{ALLOWED, ReplayCharge, ReplayVerdict};
use keyswap_core::price::Nano;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::accounts::NotCounted;
use crate::command::policy::report::count;
use crate::command::terminal::output::visible;
use crate::registry::Unit;

/// The most rows of a table. What is beyond them is in the sums only.
const MAX_ROWS: usize = 1000;

/// The sums for the judged requests of a log.
#[derive(Default)]
pub(super) struct Spend {
    refused: Table,
    admitted: Table,
    /// The costs by the log, and those of the requests that the new policy admits.
    before: Sum,
    after: Sum,
    estimated: usize,
    unpriced: usize,
    uncounted: BTreeMap<NotCounted, usize>,
    counted: usize,
}

/// Requests by the reason of their refusal, their provider and their model.
#[derive(Default)]
struct Table {
    rows: BTreeMap<Row, Sum>,
    all: Sum,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    reason: &'static str,
    provider: String,
    model: String,
}

/// A number of requests, and the sum of the costs that are known.
#[derive(Clone, Copy, Default)]
struct Sum {
    requests: usize,
    cost: Nano,
    /// The requests whose cost is not known.
    unknown: usize,
}

impl Sum {
    fn add(&mut self, cost: Option<Nano>) {
        self.requests += 1;
        match cost {
            Some(cost) => self.cost = self.cost.saturating_add(cost),
            None => self.unknown += 1,
        }
    }

    fn dollars(&self) -> String {
        Unit::Usd.shown(i64::try_from(self.cost.0).unwrap_or(i64::MAX))
    }
}

impl Table {
    fn add(&mut self, row: Row, cost: Option<Nano>) {
        self.all.add(cost);
        if self.rows.len() < MAX_ROWS || self.rows.contains_key(&row) {
            self.rows.entry(row).or_default().add(cost);
        }
    }

    /// Returns the rows, the dearest and largest first.
    fn sorted(&self) -> Vec<(&Row, &Sum)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(_, sum)| std::cmp::Reverse((sum.cost, sum.requests)));
        rows
    }
}

impl Spend {
    /// Adds a request. `cost` is what the log says.
    pub(super) fn add(
        &mut self,
        (before, after): (&ReplayVerdict, &ReplayVerdict),
        model: &str,
        cost: Option<Nano>,
        charge: Option<&ReplayCharge>,
    ) {
        let row = |verdict: &ReplayVerdict| Row {
            reason: verdict.reason,
            provider: before.provider.clone(),
            model: model.to_owned(),
        };
        let is_refused = after.reason != ALLOWED;
        if let Some(charge) = charge {
            self.before.add(cost);
            self.estimated += usize::from(charge.is_estimate);
            self.unpriced += usize::from(charge.is_unpriced);
            if !is_refused {
                self.after.add(charge.cost);
            }
        }
        if before.reason == after.reason {
            return;
        }
        if is_refused && before.reason == ALLOWED {
            self.refused.add(row(after), charge.and_then(|charge| charge.cost));
        } else if !is_refused {
            self.admitted.add(row(before), None);
        }
    }

    /// Notes a request that was charged to budgets.
    pub(super) fn note_counted(&mut self) {
        self.counted += 1;
    }

    /// Notes a request that could not be charged to budgets.
    pub(super) fn note_uncounted(&mut self, why: NotCounted) {
        *self.uncounted.entry(why).or_default() += 1;
    }

    /// Returns whether the log tells a cost of any request.
    fn is_told(&self) -> bool {
        self.before.requests > self.before.unknown
    }

    fn write_refused(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let all = &self.refused.all;
        let saved = if self.is_told() { format!(" and saved {}", all.dollars()) } else { String::new() };
        writeln!(f, "would have refused {}{saved}", count(all.requests, "request"))?;
        for (row, sum) in self.refused.sorted() {
            let cost = if self.is_told() { format!("  {:>12}", sum.dollars()) } else { String::new() };
            writeln!(f, "  {:>8}{cost}  {row}", sum.requests)?;
        }
        Ok(())
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.provider)?;
        if self.model.is_empty() { Ok(()) } else { write!(f, ", {}", visible(&self.model)) }
    }
}

impl Display for Spend {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let says_more = self.is_told() || self.counted > 0;
        if says_more && self.refused.all.requests > 0 {
            self.write_refused(f)?;
        }
        if says_more && self.admitted.all.requests > 0 {
            let all = count(self.admitted.all.requests, "request");
            writeln!(f, "would have admitted {all}, whose cost is not known: they were refused")?;
            for (row, sum) in self.admitted.sorted() {
                writeln!(f, "  {:>8}  {row}", sum.requests)?;
            }
        }
        if self.is_told() {
            let (before, after) = (self.before.dollars(), self.after.dollars());
            writeln!(f, "spend: {before} by the log, {after} under the new policy")?;
            let notes = [
                (self.estimated, "at new prices, as plain input and output: the log has no other tokens"),
                (self.unpriced, "of a model that has no price in the new policy"),
                (self.before.unknown, "without a cost in the log"),
            ];
            for (number, why) in notes.into_iter().filter(|(number, _)| *number > 0) {
                writeln!(f, "  {number:>8}  {why}")?;
            }
        }
        if self.counted > 0 || !self.uncounted.is_empty() {
            writeln!(f, "budgets: {} counted", count(self.counted, "request"))?;
        }
        self.uncounted.iter().try_for_each(|(why, number)| writeln!(f, "  {number:>8}  {}", why.message()))
    }
}

impl Serialize for Spend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sum = |sum: &Sum| json!({"requests": sum.requests, "usd": sum.cost.to_string(), "unknown": sum.unknown});
        let row = |(row, of_row): (&Row, &Sum)| {
            let mut row = json!({"reason": row.reason, "provider": row.provider, "model": row.model});
            if let (Some(row), Value::Object(sum)) = (row.as_object_mut(), sum(of_row)) {
                row.extend(sum);
            }
            row
        };
        let table = |table: &Table| {
            let mut all = sum(&table.all);
            if let Value::Object(all) = &mut all {
                all.insert("groups".to_owned(), table.sorted().into_iter().map(row).collect());
            }
            all
        };
        let uncounted = self.uncounted.iter().map(|(why, count)| (why.code().to_owned(), (*count).into()));
        json!({
            "refused": table(&self.refused),
            "admitted": table(&self.admitted),
            "before": sum(&self.before),
            "after": sum(&self.after),
            "estimated": self.estimated,
            "unpriced": self.unpriced,
            "budgets": {"counted": self.counted, "uncounted": uncounted.collect::<Map<_, _>>()},
        })
        .serialize(serializer)
    }
}
