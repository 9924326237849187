//! The registry's change feed, as one worker has followed it.
//!
//! A record that was requested before a change of its token and comes after it must not be used. So the worker keeps
//! the newest changes. A record that may be older than the kept changes is not used either, nor is one of a state that
//! this worker has not heard of: it may be of another database, or of the future that a restored one lost.

use std::collections::VecDeque;

use serde_json::Value;

use crate::base::Digest;
use crate::identity::person_digest;
use crate::services::fetch::{MAX_FETCHED_BYTES, Position};
use crate::syntax::json;

/// The most changes that are kept.
const MAX_CHANGES: usize = 2048;

/// The most states that are kept.
const MAX_POSITIONS: usize = 1024;

/// The changes that the worker has heard of.
#[derive(Default)]
pub(super) struct Feed {
    /// The states of the registry, the newest last; empty until the registry told one.
    positions: VecDeque<Position>,
    /// Changes up to this number are not among those kept.
    floor: u64,
    changes: VecDeque<(Digest, u64)>,
}

/// A part of the feed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) position: Position,
    /// Set where the registry says that it is another one, or was put back to an earlier state.
    pub(super) reset: bool,
    pub(super) records: Vec<(Digest, u64)>,
}

impl Feed {
    /// Returns the newest state; `None` until the registry told one.
    pub(super) fn position(&self) -> Option<Position> {
        self.positions.back().copied()
    }

    /// Returns whether this worker has heard of a change, or hears of none.
    pub(super) fn has_heard_of(&self, change: u64) -> bool {
        self.position().is_none_or(|position| change <= position.change)
    }

    /// Returns whether a part begins a history that this worker did not follow. A registry that tells no history may have
    /// missed changes at any time.
    pub(super) fn is_new_history(&self, part: &Part) -> bool {
        let Part { position: Position { change, history }, reset, .. } = *part;
        reset
            || self.position().is_some_and(|last| {
                history == 0 || change < last.change || (change == last.change && history != last.history)
            })
    }

    /// Goes on with a part. The caller must drop its cached records of `part.records`, or with a new history all of them.
    pub(super) fn follow(&mut self, part: &Part) {
        if self.positions.is_empty() || self.is_new_history(part) {
            self.positions.clear();
            self.changes.clear();
            self.floor = part.position.change;
        }
        if self.position() != Some(part.position) {
            self.positions.push_back(part.position);
        }
        if self.positions.len() > MAX_POSITIONS {
            self.positions.pop_front();
        }
        self.changes.extend(&part.records);
        while self.changes.len() > MAX_CHANGES {
            if let Some((_, sequence)) = self.changes.pop_front() {
                self.floor = self.floor.max(sequence);
            }
        }
    }

    /// Returns whether a record with this version may be used, which was requested when the feed stood at `as_of`.
    pub(super) fn believes(&self, digest: &Digest, version: u64, as_of: Position) -> bool {
        self.is_newer(digest, as_of, |sequence| version >= sequence)
    }

    /// Returns the same for the answer that there is no such token.
    pub(super) fn believes_absence(&self, digest: &Digest, as_of: Position) -> bool {
        self.is_newer(digest, as_of, |sequence| as_of.change >= sequence)
    }

    fn is_newer(&self, digest: &Digest, as_of: Position, than: impl FnOnce(u64) -> bool) -> bool {
        if self.positions.is_empty() {
            return true;
        }
        if !self.positions.iter().rev().any(|position| *position == as_of) {
            return false;
        }
        match self.changes.iter().rev().find(|(changed, _)| changed == digest) {
            Some((_, sequence)) => than(*sequence),
            None => as_of.change >= self.floor,
        }
    }
}

/// Reads an answer of the registry; `None` where it is malformed. A person's key becomes the digest of the person's
/// record.
pub(super) fn read(body: &[u8]) -> Option<Part> {
    if body.len() > MAX_FETCHED_BYTES {
        return None;
    }
    let part = json::parse(body).ok()?;
    let change = |change: &Value| {
        let key = change.get("key")?.as_str()?;
        let sequence = change.get("sequence")?.as_u64()?;
        match change.get("kind")?.as_str()? {
            "token" | "object" => Some(Some((Digest::from_hex(key)?, sequence))),
            "user" => Some(Some((person_digest(key), sequence))),
            // A newer registry may have more kinds, which are skipped.
            _ => Some(None),
        }
    };
    let changes: Vec<_> = part.get("changes")?.as_array()?.iter().map(change).collect::<Option<_>>()?;
    let history = match part.get("history") {
        None | Some(Value::Null) => 0,
        Some(text) => read_history(text.as_str()?)?,
    };
    Some(Part {
        position: Position { change: part.get("sequence")?.as_u64()?, history },
        reset: part.get("reset")?.as_bool()?,
        records: changes.into_iter().flatten().collect(),
    })
}

fn read_history(text: &str) -> Option<u64> {
    let is_hex = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u64::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a state of one history.
    fn at(change: u64) -> Position {
        Position { change, history: change + 1000 }
    }

    fn digest(number: u64) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    fn part(position: u64, records: &[(u64, u64)]) -> Part {
        let records = records.iter().map(|(number, sequence)| (digest(*number), *sequence)).collect();
        Part { position: at(position), reset: false, records }
    }

    #[test]
    fn a_record_from_before_a_change_is_not_believed() {
        let mut feed = Feed::default();
        assert!(feed.believes(&digest(1), 3, at(0)), "without a feed the time to live is the bound");
        feed.follow(&part(10, &[]));
        assert!(feed.believes(&digest(1), 3, at(10)));
        assert!(!feed.believes(&digest(1), 3, at(9)), "what changed in between is not known");
        feed.follow(&part(12, &[(1, 11), (2, 12)]));
        assert!(!feed.believes(&digest(1), 3, at(10)));
        assert!(!feed.believes(&digest(1), 3, at(12)), "the registry answered with an old version");
        assert!(feed.believes(&digest(1), 11, at(10)));
        assert!(!feed.believes_absence(&digest(1), at(10)), "it may have come into being since");
        assert!(feed.believes_absence(&digest(1), at(12)));
        assert!(feed.believes(&digest(3), 3, at(10)));
    }

    #[test]
    fn changes_that_are_no_longer_kept_make_older_records_unbelievable() {
        let mut feed = Feed::default();
        feed.follow(&part(1, &[]));
        for sequence in 2..=5000 {
            feed.follow(&part(sequence, &[(sequence, sequence)]));
        }
        assert_eq!(feed.changes.len(), MAX_CHANGES);
        assert!(!feed.believes(&digest(7), 1, at(1)), "its change is forgotten");
        assert!(feed.believes(&digest(70_000), 1, at(5000)));
    }

    #[test]
    fn a_registry_that_was_put_back_starts_anew() {
        let mut feed = Feed::default();
        feed.follow(&part(100, &[(1, 100)]));
        feed.follow(&Part { position: at(5), reset: true, records: Vec::new() });
        assert!(feed.believes(&digest(1), 3, at(5)));
        assert_eq!(feed.position(), Some(at(5)));
    }

    #[test]
    fn a_state_of_another_history_is_not_one_that_was_heard_of() {
        let mut feed = Feed::default();
        feed.follow(&part(10, &[]));
        assert!(feed.believes(&digest(1), 3, at(10)));
        assert!(!feed.believes(&digest(1), 3, Position { change: 10, history: 7 }));
        assert!(!feed.believes_absence(&digest(1), Position { change: 10, history: 7 }));
    }

    #[test]
    fn whatever_does_not_go_on_from_the_last_state_is_a_new_history() {
        let mut feed = Feed::default();
        let of = |change, history, reset| Part {
            position: Position { change, history },
            reset,
            records: Vec::new(),
        };
        assert!(!feed.is_new_history(&of(3, 0, false)), "there is no other yet");
        feed.follow(&of(10, 7, false));
        for (change, history, reset, is_new) in [
            (10, 7, false, false),
            (11, 8, false, false),
            (11, 8, true, true),
            (10, 7, true, true),
            (10, 8, false, true),
            (9, 6, false, true),
            (0, 1, false, true),
            (10, 0, false, true),
            (11, 0, false, true),
        ] {
            assert_eq!(
                feed.is_new_history(&of(change, history, reset)),
                is_new,
                "{change} {history} {reset}"
            );
        }
        feed.follow(&of(11, 0, false));
        assert!(feed.is_new_history(&of(12, 0, false)), "what tells no history may have missed a change");
    }

    #[test]
    fn only_a_feed_is_read_as_one() {
        let key = digest(1).to_hex();
        let body = format!(
            r#"{{"sequence":9,"history":"00000000000003f1","reset":false,"changes":[{{"kind":"token","key":"{key}","sequence":8}},{{"kind":"user","key":"a@b","sequence":9}},{{"kind":"new","key":"x","sequence":9}}]}}"#
        );
        let expect =
            Part { position: at(9), reset: false, records: vec![(digest(1), 8), (person_digest("a@b"), 9)] };
        assert_eq!(read(body.as_bytes()), Some(expect));
        for absent in [r#""history":null,"#, ""] {
            let body = body.replace(r#""history":"00000000000003f1","#, absent);
            assert_eq!(
                read(body.as_bytes()).map(|part| part.position),
                Some(Position { change: 9, history: 0 })
            );
        }
        for bad in [r#""3f1""#, r#""00000000000003F1""#, r#""+0000000000003f1""#, "1009", r#""""#] {
            let body = body.replace(r#""00000000000003f1""#, bad);
            assert_eq!(read(body.as_bytes()), None, "{bad}");
        }
        for bad in [
            "",
            "{}",
            r#"{"sequence":-1,"reset":false,"changes":[]}"#,
            r#"{"sequence":1,"reset":"no","changes":[]}"#,
            r#"{"sequence":1,"reset":false,"changes":[{"kind":"token","key":"x","sequence":1}]}"#,
        ] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
    }
}
