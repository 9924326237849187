//! What fetches resolved to for one request that waited: the only thing that is kept of it meanwhile.

use crate::fetch::{FetchKey, Resolution, Subject};
use crate::limit::Counted;
use crate::registry::Wanted;

/// An answer that is out of date is asked for anew so many times.
const MOST_AGAIN: u8 = 2;

#[derive(Default)]
pub(super) struct Known {
    resolutions: Vec<(FetchKey, Resolution)>,
    /// How often an answer was out of date when it came.
    again: u8,
}

impl Known {
    pub(super) fn learn(&mut self, key: FetchKey, resolution: Resolution) {
        match resolution {
            Resolution::Again if self.again < MOST_AGAIN => self.again += 1,
            Resolution::Again => self.resolutions.push((key, Resolution::Unavailable)),
            resolution => self.resolutions.push((key, resolution)),
        }
    }

    pub(super) fn record(&self, wanted: Wanted<'_>) -> Option<&Resolution> {
        // Most requests wait for nothing, and need no digest here.
        if self.resolutions.is_empty() {
            return None;
        }
        let subject = wanted.subject();
        self.resolutions.iter().find(|(known, _)| known.subject == subject).map(|(_, resolution)| resolution)
    }

    pub(super) fn has(&self, key: &FetchKey) -> bool {
        self.resolutions.iter().any(|(known, _)| known == key)
    }

    /// What was taken from a budget for this request.
    pub(super) fn counted(&self) -> Option<Counted> {
        let mut counts = self.resolutions.iter().filter(|(key, _)| matches!(key.subject, Subject::Limit(_)));
        counts.next().map(|(_, resolution)| match resolution {
            Resolution::Taken(taken) => Counted::Taken(*taken),
            _ => Counted::Unknown,
        })
    }
}
