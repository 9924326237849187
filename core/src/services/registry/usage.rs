//! The tokens that were used on each day, reported to the registry in batches.
//!
//! A worker reports a token once a day. A failed report is made again. Marks beyond the bound of memory are dropped,
//! and the next day's use is reported again.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::base::{Digest, Moment, Pause, UnixTime};

/// The most marks in a report: the registry takes no more.
const BATCH: usize = 500;
/// The most tokens that are remembered for a day.
const MAX_TOKENS: usize = 20_000;
/// The time in which marks are gathered, and the pause after a failure.
const GATHER_TIME: Duration = Duration::from_secs(5);
/// The time after which a report without an answer is made again.
const LOST_AFTER: Duration = Duration::from_secs(30);

const DAY: i64 = 86_400;

pub(super) struct Usage {
    day: i64,
    /// The tokens that were used on `day`.
    seen: BTreeSet<Digest>,
    /// The marks that are not reported yet, with the day in days since 1970.
    pending: BTreeSet<(i64, Digest)>,
    /// The marks in the report that is on its way.
    sent: Vec<(i64, Digest)>,
    pause: Pause,
}

impl Default for Usage {
    fn default() -> Self {
        let (seen, pending, sent) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        Self { day: 0, seen, pending, sent, pause: Pause::at_most(LOST_AFTER) }
    }
}

impl Usage {
    pub(super) fn is_marked(&self, digest: &Digest, now: Moment) -> bool {
        self.day == day_of(now) && self.seen.contains(digest)
    }

    pub(super) fn mark(&mut self, digest: Digest, now: Moment) {
        let day = day_of(now);
        if day != self.day {
            self.day = day;
            self.seen.clear();
        }
        if self.seen.len() < MAX_TOKENS && self.seen.insert(digest) && self.pending.len() < MAX_TOKENS {
            if self.pending.is_empty() && self.sent.is_empty() {
                self.pause.begin(GATHER_TIME, now);
            }
            self.pending.insert((day, digest));
        }
    }

    /// Returns the body of the report that is due.
    pub(super) fn report(&mut self, now: Moment) -> Option<Vec<u8>> {
        if !self.pause.is_over(now) || self.is_told() {
            return None;
        }
        // A report whose answer never came is part of the next one.
        self.pending.extend(self.sent.drain(..));
        while self.sent.len() < BATCH {
            let Some(mark) = self.pending.pop_first() else { break };
            self.sent.push(mark);
        }
        self.pause.begin(LOST_AFTER, now);
        let marks =
            self.sent.iter().map(|(day, digest)| json!({"sha256": digest.to_hex(), "day": date(*day)}));
        Some(json!({"marks": marks.collect::<Vec<_>>()}).to_string().into_bytes())
    }

    /// Tells whether the registry has taken all marks.
    pub(super) fn is_told(&self) -> bool {
        self.pending.is_empty() && self.sent.is_empty()
    }

    /// Settles the report that was sent: `done` if the registry took it.
    pub(super) fn settle(&mut self, done: bool, now: Moment) {
        if !done {
            self.pending.extend(self.sent.drain(..));
        }
        self.sent.clear();
        if done && self.pending.len() >= BATCH {
            self.pause.end(now);
        } else {
            self.pause.begin(GATHER_TIME, now);
        }
    }
}

fn day_of(now: Moment) -> i64 {
    now.unix().0.div_euclid(DAY)
}

fn date(day: i64) -> String {
    let midnight = UnixTime(day.saturating_mul(DAY)).to_string();
    midnight.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Moment = Moment(1_800_014_400 * 1_000_000_000);

    fn digest(number: u32) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    fn marks(body: Option<Vec<u8>>) -> usize {
        let body: serde_json::Value =
            serde_json::from_slice(&body.unwrap_or_else(|| b"{}".to_vec())).unwrap();
        body["marks"].as_array().map_or(0, Vec::len)
    }

    #[test]
    fn a_token_is_reported_once_a_day_and_in_batches() {
        let mut usage = Usage::default();
        for _ in 0..3 {
            (0..700).for_each(|number| usage.mark(digest(number), NOON));
        }
        assert_eq!(marks(usage.report(NOON)), 0, "marks are gathered first");
        let later = NOON.after(GATHER_TIME);
        assert_eq!(marks(usage.report(later)), 500);
        assert_eq!(marks(usage.report(later)), 0, "one report at a time");
        usage.settle(true, later);
        assert_eq!(marks(usage.report(later.after(GATHER_TIME))), 200);
        usage.settle(true, later);
        usage.mark(digest(1), later);
        assert_eq!(marks(usage.report(later.after(LOST_AFTER))), 0);
        usage.mark(digest(1), NOON.after(Duration::from_hours(24)));
        let body = usage.report(NOON.after(Duration::from_hours(25))).unwrap();
        assert!(String::from_utf8(body).unwrap().contains(r#""day":"2027-01-16""#));
    }

    #[test]
    fn a_report_that_failed_or_was_lost_is_made_again() {
        let mut usage = Usage::default();
        usage.mark(digest(1), NOON);
        let at = |seconds| NOON.after(Duration::from_secs(seconds));
        assert_eq!(marks(usage.report(at(5))), 1);
        usage.settle(false, at(6));
        assert_eq!(marks(usage.report(at(7))), 0);
        assert_eq!(marks(usage.report(at(11))), 1);
        assert_eq!(marks(usage.report(at(41))), 1);
    }
}
