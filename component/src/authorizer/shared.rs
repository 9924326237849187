//! The state of an engine for all its requests: the worker with its memory, and what is kept for the program to ask for.

use std::cell::RefCell;

use keyswap_core::base::Moment;
use keyswap_core::host::MemoryStore;
use keyswap_core::judge::{Observation, Request};
use keyswap_core::request::OwnedHead;
use keyswap_core::services::{Fetch, Resolution};
use keyswap_core::worker::{Background, Ticket, Worker};

/// The most log lines and due calls that are kept: a program that never asks loses the oldest.
const MAX_KEPT: usize = 1024;
/// The most bytes of heads that are kept for judgements in the background. Nobody waits for these: one more is not judged.
const MAX_BACKGROUND_BYTES: usize = 4 << 20;

pub(super) struct Shared {
    pub(super) worker: Worker,
    pub(super) store: MemoryStore,
    log: RefCell<Vec<String>>,
    due: RefCell<Vec<Due>>,
}

/// A call that no request waits for, and the judgement in the background that does.
pub(super) struct Due {
    pub(super) fetch: Fetch,
    pub(super) background: Option<(OwnedHead, Ticket)>,
}

impl Shared {
    pub(super) fn new(worker: Worker) -> Self {
        let (log, due) = (RefCell::default(), RefCell::default());
        Self { worker, store: MemoryStore::default(), log, due }
    }

    /// Keeps lines for the log.
    pub(super) fn log(&self, lines: impl IntoIterator<Item = String>) {
        let _ = keep(&self.log, lines);
    }

    /// Keeps the log lines of observations; this host has no counters.
    pub(super) fn observe(&self, observations: Vec<Observation>) {
        self.log(observations.into_iter().filter_map(|observation| observation.line));
    }

    /// Returns the log lines since the last call.
    pub(super) fn take_log(&self) -> Vec<String> {
        self.log.take()
    }

    /// Keeps calls that are due.
    pub(super) fn keep_calls(&self, fetches: Vec<Fetch>, now: Moment) {
        self.keep_due(fetches.into_iter().map(|fetch| Due { fetch, background: None }), now);
    }

    /// Keeps a judgement in the background, with the call that it needs.
    pub(super) fn keep_background(&self, background: Option<Background>, head: OwnedHead, now: Moment) {
        if let Some(Background { fetch, ticket }) = background {
            let kept_bytes = self.due.try_borrow().map_or(usize::MAX, |due| {
                let heads = due.iter().filter_map(|due| due.background.as_ref());
                heads.fold(head.size(), |sum, (head, _)| sum.saturating_add(head.size()))
            });
            if kept_bytes > MAX_BACKGROUND_BYTES {
                return self.worker.abandon(&fetch.key, now);
            }
            self.keep_due([Due { fetch: *fetch, background: Some((head, ticket)) }], now);
        }
    }

    /// Goes on with a judgement in the background.
    pub(super) fn resume_background(
        &self,
        head: OwnedHead,
        ticket: Ticket,
        resolution: Resolution,
        now: Moment,
    ) {
        let in_force = self.worker.in_force(&self.store);
        let lines = head.lines();
        let request = Request { head: &head.with(&lines), now, store: &self.store };
        let (observations, background) = in_force.resume_background(ticket, resolution, &request);
        drop(lines);
        self.observe(observations);
        self.keep_background(background, head, now);
    }

    /// Returns the calls that are due and may be made. A judgement whose call may not be made goes on without it.
    pub(super) fn due(&self, now: Moment) -> Vec<Due> {
        let due = self.worker.due(now, &self.store);
        self.log(due.notes);
        self.keep_calls(due.fetches, now);
        let mut calls = Vec::new();
        for Due { fetch, background } in self.due.take() {
            if self.worker.may_call(&fetch.key, now) {
                calls.push(Due { fetch, background });
            } else if let Some((head, ticket)) = background {
                self.resume_background(head, ticket, Resolution::Unavailable, now);
            }
        }
        calls
    }

    /// Returns those of the calls that may be made.
    pub(super) fn admitted(&self, fetches: Vec<Fetch>, now: Moment) -> impl Iterator<Item = Fetch> {
        fetches.into_iter().filter(move |fetch| {
            let is_admitted = self.worker.may_call(&fetch.key, now);
            if !is_admitted {
                self.worker.abandon(&fetch.key, now);
            }
            is_admitted
        })
    }

    fn keep_due(&self, due: impl IntoIterator<Item = Due>, now: Moment) {
        for lost in keep(&self.due, due) {
            self.worker.abandon(&lost.fetch.key, now);
        }
    }
}

/// Adds to a bounded list, and returns the oldest entries, which had to go.
fn keep<T>(kept: &RefCell<Vec<T>>, more: impl IntoIterator<Item = T>) -> Vec<T> {
    let Ok(mut kept) = kept.try_borrow_mut() else { return Vec::new() };
    kept.extend(more);
    let excess = kept.len().saturating_sub(MAX_KEPT);
    kept.drain(..excess).collect()
}
