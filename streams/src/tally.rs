//! The counts that the host has not got yet: it gets them together, about once a second, and not one by one for each
//! request.

use std::cell::RefCell;

use crate::metric::{MAX_LABELS, Metric};

/// Counts by their counters, in the order of the counters' keys. There are as many as the engine and the policy have words
/// for.
#[derive(Default)]
pub(crate) struct Tally(RefCell<Vec<Row>>);

struct Row {
    family: usize,
    values: [Box<str>; MAX_LABELS],
    count: u64,
    /// Set until the host has the counter.
    is_new: bool,
}

impl Row {
    fn metric(&self) -> Metric<'_> {
        Metric::of_key(self.family, self.values.each_ref().map(AsRef::as_ref))
    }
}

impl Tally {
    /// Adds to a counter.
    pub(crate) fn add(&self, metric: &Metric<'_>, by: u64) {
        let Ok(mut rows) = self.0.try_borrow_mut() else { return };
        match rows.binary_search_by(|row| row.metric().key().cmp(&metric.key())) {
            Ok(place) => {
                if let Some(row) = rows.get_mut(place) {
                    row.count = row.count.saturating_add(by);
                }
            }
            Err(place) => {
                let (family, values) = metric.key();
                rows.insert(place, Row { family, values: values.map(Into::into), count: by, is_new: true });
            }
        }
    }

    /// Hands over what was counted since the last time, and what begins at zero.
    pub(crate) fn hand_over(&self, mut count: impl FnMut(&Metric<'_>, u64)) {
        let Ok(mut rows) = self.0.try_borrow_mut() else { return };
        for row in rows.iter_mut() {
            let by = std::mem::take(&mut row.count);
            if std::mem::take(&mut row.is_new) || by > 0 {
                count(&row.metric(), by);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed_over(tally: &Tally) -> Vec<String> {
        let mut counts = Vec::new();
        tally.hand_over(|metric, by| {
            let (family, labels) = metric.parts();
            let values: Vec<&str> = labels.map(|(_, value)| value).collect();
            counts.push(format!("{family} {} {by}", values.join(" ")));
        });
        counts
    }

    #[test]
    fn every_count_is_handed_over_once() {
        let tally = Tally::default();
        let counted = [
            (Metric::lookup("worker"), 1),
            (Metric::decision("forward", "allowed", "openai"), 1),
            (Metric::decision("reply", "token_unknown", "openai"), 2),
            (Metric::decision("forward", "allowed", "openai"), 3),
            (Metric::lookup("worker"), u64::MAX),
        ];
        for (metric, by) in &counted {
            tally.add(metric, *by);
        }
        let expect = [
            "decisions forward allowed openai 4".to_owned(),
            "decisions reply token_unknown openai 2".to_owned(),
            format!("lookups worker {}", u64::MAX),
        ];
        assert_eq!(handed_over(&tally), expect);
        assert!(handed_over(&tally).is_empty());
        tally.add(&Metric::lookup("worker"), 1);
        assert_eq!(handed_over(&tally), ["lookups worker 1"]);
        tally.add(&Metric::lookup("process"), 0);
        assert_eq!(handed_over(&tally), ["lookups process 0"]);
        assert!(handed_over(&tally).is_empty());
    }
}
