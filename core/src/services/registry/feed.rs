//! The registry's change feed, as one worker has followed it.
//!
//! A record that was requested before a change of its token and comes after it must not be used. So the worker keeps
//! the newest changes. A record that may be older than the kept changes is not used either.

use std::collections::VecDeque;

use serde_json::Value;

use crate::base::Digest;
use crate::identity::person_digest;
use crate::services::fetch::MAX_FETCHED_BYTES;
use crate::syntax::json;

/// The most changes that are kept.
const MAX_CHANGES: usize = 2048;

/// The changes that the worker has heard of.
#[derive(Default)]
pub(super) struct Feed {
    /// The number of the newest change; `None` until the registry told one.
    position: Option<u64>,
    /// Changes up to this number are not among those kept.
    floor: u64,
    changes: VecDeque<(Digest, u64)>,
}

/// A part of the feed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) position: u64,
    /// Set where the registry was put back to an earlier state.
    pub(super) reset: bool,
    pub(super) records: Vec<(Digest, u64)>,
}

impl Feed {
    /// Returns whether this worker has heard of a state of the registry.
    ///
    /// After the registry was put back, other workers may still share states of its lost future, of which this worker
    /// has not heard.
    pub(super) fn has_heard_of(&self, sequence: u64) -> bool {
        self.position.is_none_or(|position| sequence <= position)
    }

    pub(super) fn position(&self) -> Option<u64> {
        self.position
    }

    /// Goes on with a part. The caller must drop its cached records of `part.records`, or after `reset` all of them.
    pub(super) fn follow(&mut self, part: &Part) {
        if part.reset || self.position.is_none() {
            self.changes.clear();
            self.floor = part.position;
        }
        self.position = Some(part.position);
        self.changes.extend(&part.records);
        while self.changes.len() > MAX_CHANGES {
            if let Some((_, sequence)) = self.changes.pop_front() {
                self.floor = self.floor.max(sequence);
            }
        }
    }

    /// Returns whether a record with this version may be used, which was requested when the feed stood at `as_of`.
    pub(super) fn believes(&self, digest: &Digest, version: u64, as_of: u64) -> bool {
        self.is_newer(digest, as_of, |sequence| version >= sequence)
    }

    /// Returns the same for the answer that there is no such token.
    pub(super) fn believes_absence(&self, digest: &Digest, as_of: u64) -> bool {
        self.is_newer(digest, as_of, |sequence| as_of >= sequence)
    }

    fn is_newer(&self, digest: &Digest, as_of: u64, than: impl FnOnce(u64) -> bool) -> bool {
        if self.position.is_none() {
            return true;
        }
        match self.changes.iter().rev().find(|(changed, _)| changed == digest) {
            Some((_, sequence)) => than(*sequence),
            None => as_of >= self.floor,
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
            "token" => Some(Some((Digest::from_hex(key)?, sequence))),
            "user" => Some(Some((person_digest(key), sequence))),
            // A newer registry may have more kinds, which are skipped.
            _ => Some(None),
        }
    };
    let changes: Vec<_> = part.get("changes")?.as_array()?.iter().map(change).collect::<Option<_>>()?;
    Some(Part {
        position: part.get("sequence")?.as_u64()?,
        reset: part.get("reset")?.as_bool()?,
        records: changes.into_iter().flatten().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u64) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    fn part(position: u64, records: &[(u64, u64)]) -> Part {
        let records = records.iter().map(|(number, sequence)| (digest(*number), *sequence)).collect();
        Part { position, reset: false, records }
    }

    #[test]
    fn a_record_from_before_a_change_is_not_believed() {
        let mut feed = Feed::default();
        assert!(feed.believes(&digest(1), 3, 0), "without a feed the time to live is the bound");
        feed.follow(&part(10, &[]));
        assert!(feed.believes(&digest(1), 3, 10));
        assert!(!feed.believes(&digest(1), 3, 9), "what changed in between is not known");
        feed.follow(&part(12, &[(1, 11), (2, 12)]));
        assert!(!feed.believes(&digest(1), 3, 10));
        assert!(!feed.believes(&digest(1), 3, 12), "the registry answered with an old version");
        assert!(feed.believes(&digest(1), 11, 10));
        assert!(!feed.believes_absence(&digest(1), 10), "it may have come into being since");
        assert!(feed.believes_absence(&digest(1), 11));
        assert!(feed.believes(&digest(3), 3, 10));
    }

    #[test]
    fn changes_that_are_no_longer_kept_make_older_records_unbelievable() {
        let mut feed = Feed::default();
        feed.follow(&part(1, &[]));
        for sequence in 2..=5000 {
            feed.follow(&part(sequence, &[(sequence, sequence)]));
        }
        assert_eq!(feed.changes.len(), MAX_CHANGES);
        assert!(!feed.believes(&digest(7), 1, 1), "its change is forgotten");
        assert!(feed.believes(&digest(70_000), 1, 5000));
    }

    #[test]
    fn a_registry_that_was_put_back_starts_anew() {
        let mut feed = Feed::default();
        feed.follow(&part(100, &[(1, 100)]));
        feed.follow(&Part { position: 5, reset: true, records: Vec::new() });
        assert!(feed.believes(&digest(1), 3, 5));
        assert_eq!(feed.position(), Some(5));
    }

    #[test]
    fn only_a_feed_is_read_as_one() {
        let key = digest(1).to_hex();
        let body = format!(
            r#"{{"sequence":9,"reset":false,"changes":[{{"kind":"token","key":"{key}","sequence":8}},{{"kind":"user","key":"a@b","sequence":9}},{{"kind":"new","key":"x","sequence":9}}]}}"#
        );
        let expect =
            Part { position: 9, reset: false, records: vec![(digest(1), 8), (person_digest("a@b"), 9)] };
        assert_eq!(read(body.as_bytes()), Some(expect));
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
