//! The filter of a list of objects: the ids of what has come are looked up ahead, and then the caller's own go on.

use super::lookups::Lookups;
use crate::base::{Digest, Moment};
use crate::body::{Event, Follower, JsonError, ListFilter, Lists, Scalar};
use crate::host::Store;
use crate::judge::admit::ObjectRule;
use crate::provider::objects::Objects;
use crate::services::Fetch;
use crate::services::registry::{MAX_LOOKED_UP, Owned, Registry};

/// The filter of one list.
pub(crate) struct ObjectList {
    /// The beginning of ids of objects: elements with another stay.
    begins: &'static str,
    ahead: Follower,
    filter: ListFilter,
    /// The bytes that wait for the filter.
    queue: Vec<u8>,
    /// The ids among them.
    ids: Vec<String>,
    lookups: Lookups,
    since: Option<Moment>,
}

impl ObjectList {
    pub(crate) fn new(table: &'static Objects, begins: &'static str, limit: Option<u32>) -> Self {
        let lists = Lists {
            paths: table.lists,
            arrays: table.arrays,
            has_edges: table.has_edges,
            is_alone: begins.is_empty(),
        };
        Self {
            begins,
            ahead: Follower::new(table.lists),
            filter: ListFilter::new(lists).at_most(limit),
            queue: Vec::new(),
            ids: Vec::new(),
            lookups: Lookups::default(),
            since: None,
        }
    }

    /// Takes the next slice.
    ///
    /// # Errors
    /// The list cannot be read, so nothing more of it may go on.
    pub(crate) fn take(&mut self, slice: &[u8], table: &Objects) -> Result<(), JsonError> {
        let Self { ahead, ids, begins, .. } = self;
        ahead.feed(slice, &mut |event| {
            if let Event::Scalar(path, Scalar::Text(id)) = event
                && path >= table.arrays
                && id.starts_with(*begins)
            {
                ids.push(id.to_owned());
            }
        })?;
        self.queue.extend_from_slice(slice);
        Ok(())
    }

    /// Returns the bytes that wait for the filter.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Returns the call for the objects that are not known; `None` where the registry was asked for all, or cannot be.
    pub(crate) fn lacking(
        &mut self,
        rule: &ObjectRule,
        registry: &Registry,
        now: Moment,
        store: &dyn Store,
    ) -> Option<Box<Fetch>> {
        let digests = self.ids.iter().map(|id| rule.digest(rule.table.id_in(id.as_bytes())));
        let mut lacking: Vec<Digest> =
            digests.filter(|digest| self.lookups.may_ask(digest, registry)).collect();
        lacking.retain(|it| registry.owns(&rule.caller, it, self.since, now, store) == Owned::Unasked);
        lacking.sort_unstable();
        lacking.dedup();
        lacking.truncate(MAX_LOOKED_UP);
        if lacking.is_empty() {
            return None;
        }
        let (call, number) = registry.listed_call(&lacking, now)?;
        self.lookups.note(&lacking, number, now);
        self.since = self.since.or(Some(now));
        Some(Box::new(call))
    }

    /// Returns what goes on of the bytes that have come.
    ///
    /// # Errors
    /// The list cannot be read, so nothing more of it may go on.
    pub(crate) fn filter(
        &mut self,
        rule: &ObjectRule,
        registry: &Registry,
        is_last: bool,
        now: Moment,
        store: &dyn Store,
    ) -> Result<Vec<u8>, JsonError> {
        let (mut out, begins) = (Vec::new(), self.begins);
        let mut is_shown = |id: &str| {
            let digest = rule.digest(rule.table.id_in(id.as_bytes()));
            !id.starts_with(begins) || registry.owns(&rule.caller, &digest, None, now, store) == Owned::Own
        };
        self.filter.feed(&std::mem::take(&mut self.queue), &mut is_shown, &mut out)?;
        self.ids.clear();
        if is_last {
            self.filter.finish()?;
        }
        Ok(out)
    }
}
