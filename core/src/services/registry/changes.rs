//! The calls that follow the registry's change feed.

use std::time::Duration;

use super::client::Registry;
use super::feed;
use super::lookup_key::LookupKey;
use super::memory::{LOST_AFTER, Memory};
use crate::base::{Moment, doubled};
use crate::host::Store;
use crate::policy::Protocol;
use crate::services::fetch::{AsOf, Fetch, FetchAnswer, FetchOutcome, Position, Subject};

/// The longest time that the registry waits for a change before it answers. A connection that died is noticed after
/// that.
const FEED_WAIT: Duration = Duration::from_secs(4);
/// The pause after the first failure of the feed, doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after a failure of the feed.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// The time between two calls for changes where the host does not follow the feed. The registry answers these at once.
const FEED_INTERVAL: Duration = Duration::from_secs(2);
/// The longest silence of the feed after which a cached record is still used, where the host does not follow the feed.
const MAX_SILENCE: Duration = Duration::from_secs(4);

impl Registry {
    /// Returns the call for changes, if it is due.
    pub(super) fn changes_due(&self, state: &mut Memory, now: Moment) -> Option<Fetch> {
        if !state.feed_pause.is_over(now) {
            return None;
        }
        state.feed_pause.begin(LOST_AFTER, now);
        Some(self.changes_call(state, now))
    }

    /// Returns the call for changes that must be answered before a cached record is used, where the feed was not
    /// followed meanwhile.
    ///
    /// A registry that does not answer is not asked again by each request. Its records are then used for as long as the
    /// policy says.
    pub(super) fn feed_check(&self, key: LookupKey<'_>, state: &mut Memory, now: Moment) -> Option<Fetch> {
        if self.is_followed || self.policy.protocol != Protocol::Keyswap {
            return None;
        }
        let digest = key.digest();
        let is_silent = !now.is_within(MAX_SILENCE, state.heard_at);
        let is_paused = state.feed_pause.failures() > 0 && now < state.feed_pause.until();
        let is_remembered = is_silent
            && !is_paused
            && (state.absence(key).is_some()
                || state.remembered(&digest, self.policy.positive, now).is_some());
        is_remembered.then(|| self.changes_call(state, now))
    }

    fn changes_call(&self, state: &Memory, now: Moment) -> Fetch {
        let mut path = "/v1/changes".to_owned();
        if let Some(Position { change, history }) = state.feed.position() {
            path.extend(["?since=", &change.to_string()]);
            if history != 0 {
                path.extend(["&history=", &format!("{history:016x}")]);
            }
            if self.is_followed {
                path.extend(["&wait=", &FEED_WAIT.as_secs().to_string()]);
            }
        }
        let wait = if self.is_followed { FEED_WAIT } else { Duration::ZERO };
        let request = self.call(&path, wait + self.policy.timeout);
        Fetch::new(self.key(Subject::Changes), request, state.as_of(now))
    }

    pub(super) fn accept_changes(
        &self,
        as_of: AsOf,
        answer: &FetchAnswer<'_>,
        now: Moment,
        store: &dyn Store,
    ) -> FetchOutcome {
        let Ok(mut state) = self.state.try_borrow_mut() else { return FetchOutcome::Failed };
        let part = match answer {
            FetchAnswer::Response { status: 200, body } => feed::read(body).ok_or(FetchOutcome::Malformed),
            FetchAnswer::Response { .. } => Err(FetchOutcome::Unavailable),
            FetchAnswer::Failed => Err(FetchOutcome::Failed),
        };
        match part {
            Ok(part) => {
                state.follow(&part, store);
                state.heard_at = as_of.at;
                state.feed_pause.succeed();
                // A registry that waits for changes before it answers is asked again at once.
                let next = if self.is_followed { now } else { as_of.at.after(FEED_INTERVAL) };
                state.feed_pause.end(next);
                FetchOutcome::Found
            }
            Err(outcome) => {
                let pause = doubled(FIRST_PAUSE, state.feed_pause.failures(), MAX_PAUSE);
                state.feed_pause.fail();
                state.feed_pause.begin_jittered(pause, now);
                outcome
            }
        }
    }
}
