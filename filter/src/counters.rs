//! Counters and gauges, defined with the host when they are first needed.

use std::cell::RefCell;

use keyswap_streams::{GAUGE_LABEL, GAUGES, MAX_LABELS, Metric};

use crate::host::{Counter, Gauge};

/// The counters defined so far, in the order of their keys.
#[derive(Default)]
pub(crate) struct Counters(RefCell<Vec<Row>>);

struct Row {
    family: usize,
    values: [Box<str>; MAX_LABELS],
    counter: Counter,
}

impl Row {
    fn key(&self) -> (usize, [&str; MAX_LABELS]) {
        (self.family, self.values.each_ref().map(AsRef::as_ref))
    }
}

impl Counters {
    /// Adds to a counter.
    pub(crate) fn add(&self, metric: &Metric<'_>, by: u64) {
        let Ok(mut rows) = self.0.try_borrow_mut() else { return };
        match rows.binary_search_by(|row| row.key().cmp(&metric.key())) {
            Ok(place) => rows.get(place).into_iter().for_each(|row| row.counter.add(by)),
            Err(place) => {
                if let Some(counter) = Counter::define(&name(metric)) {
                    counter.add(by);
                    let (family, values) = metric.key();
                    rows.insert(place, Row { family, values: values.map(Into::into), counter });
                }
            }
        }
    }
}

/// The gauges of an issuer, as far as the host defined them.
type OfIssuer = (Box<str>, [Option<Gauge>; GAUGES.len()]);

/// The gauges defined so far, by their issuers.
#[derive(Default)]
pub(crate) struct Gauges(RefCell<Vec<OfIssuer>>);

impl Gauges {
    /// Sets the gauges of an issuer.
    pub(crate) fn set(&self, issuer: &str, values: [u64; GAUGES.len()]) {
        let Ok(mut rows) = self.0.try_borrow_mut() else { return };
        if !rows.iter().any(|(of, _)| **of == *issuer) {
            let define = |gauge| Gauge::define(&["keyswap.", gauge, ".", GAUGE_LABEL, ".", issuer].concat());
            rows.push((issuer.into(), GAUGES.map(define)));
        }
        let gauges = rows.iter().find(|(of, _)| **of == *issuer).map(|(_, gauges)| gauges);
        for (gauge, value) in gauges.into_iter().flatten().zip(values) {
            if let Some(gauge) = gauge {
                gauge.set(value);
            }
        }
    }
}

fn name(metric: &Metric<'_>) -> String {
    let (family, labels) = metric.parts();
    labels.fold(["keyswap.", family].concat(), |name, (label, value)| {
        [name.as_str(), ".", label, ".", value].concat()
    })
}
