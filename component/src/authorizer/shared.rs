//! What an engine has for all its requests: the worker with its memory, and what is kept for the program around to ask for.

use std::cell::RefCell;
use std::rc::Rc;

use keyswap_core::base::Moment;
use keyswap_core::host::MemoryStore;
use keyswap_core::services::{Fetch, Resolution};
use keyswap_core::worker::{Background, Rollout, Worker};

use super::judging::Begun;
use crate::head::Head;

/// So many lines for the log are kept, and so many calls that are due: a program that never asks loses the oldest.
const MOST_KEPT: usize = 1024;

pub(super) struct Shared {
    pub(super) worker: Worker,
    pub(super) store: MemoryStore,
    log: RefCell<Vec<String>>,
    due: RefCell<Vec<Due>>,
}

/// A call that no request waits for.
pub(super) struct Due {
    pub(super) fetch: Fetch,
    /// What does.
    pub(super) aside: Option<Judging>,
}

/// A judgement that only tells something: what it is about, and where it goes on.
pub(super) struct Judging {
    head: Head,
    begun: Begun,
}

impl Shared {
    pub(super) fn new(worker: Worker) -> Self {
        let (log, due) = (RefCell::default(), RefCell::default());
        Self { worker, store: MemoryStore::default(), log, due }
    }

    /// Keeps lines for the log.
    pub(super) fn tell(&self, lines: impl IntoIterator<Item = String>) {
        let _ = keep(&self.log, lines);
    }

    /// What was to be logged since this was last asked.
    pub(super) fn log(&self) -> Vec<String> {
        self.log.take()
    }

    /// Keeps calls that are due.
    pub(super) fn refresh(&self, fetches: Vec<Fetch>, now: Moment) {
        self.keep_due(fetches.into_iter().map(|fetch| Due { fetch, aside: None }), now);
    }

    /// Keeps a judgement that only tells something, with the call that it needs.
    pub(super) fn put_aside(
        &self,
        aside: Option<Background>,
        rollout: &Rc<Rollout>,
        head: Head,
        now: Moment,
    ) {
        if let Some(Background { fetch, waiting }) = aside {
            let begun = Begun { rollout: Rc::clone(rollout), waiting };
            self.keep_due([Due { fetch, aside: Some(Judging { head, begun }) }], now);
        }
    }

    /// Goes on with a judgement that only tells something.
    pub(super) fn conclude(&self, Judging { head, begun }: Judging, resolution: Resolution, now: Moment) {
        let Begun { rollout, waiting } = begun;
        let lines = head.lines();
        let (observations, aside) =
            rollout.conclude(waiting, resolution, &head.with(&lines), now, &self.store);
        drop(lines);
        self.tell(observations.into_iter().filter_map(|observation| observation.line));
        self.put_aside(aside, &rollout, head, now);
    }

    /// The calls that are due and may be made; what waits for another one goes on without.
    pub(super) fn due(&self, now: Moment) -> Vec<Due> {
        let due = self.worker.due(now, &self.store);
        self.tell(due.notes);
        self.refresh(due.fetches, now);
        let mut calls = Vec::new();
        for Due { fetch, aside } in self.due.take() {
            if self.worker.may_call(&fetch.key, now) {
                calls.push(Due { fetch, aside });
            } else if let Some(judging) = aside {
                self.conclude(judging, Resolution::Unavailable, now);
            }
        }
        calls
    }

    fn keep_due(&self, due: impl IntoIterator<Item = Due>, now: Moment) {
        for lost in keep(&self.due, due) {
            self.worker.abandon(&lost.fetch.key, now);
        }
    }
}

/// Adds to what is kept until it is asked for, which is bounded; returns what had to go.
fn keep<T>(kept: &RefCell<Vec<T>>, more: impl IntoIterator<Item = T>) -> Vec<T> {
    let Ok(mut kept) = kept.try_borrow_mut() else { return Vec::new() };
    kept.extend(more);
    let excess = kept.len().saturating_sub(MOST_KEPT);
    kept.drain(..excess).collect()
}
