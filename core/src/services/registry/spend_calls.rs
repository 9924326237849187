//! The reports of what was spent, as calls to the registry.

use super::client::Registry;
use super::memory::Memory;
use super::spend::Metered;
use crate::base::{Digest, Moment};
use crate::host::{SlotKind, Store, Update};
use crate::policy::Protocol;
use crate::services::fetch::{Fetch, FetchAnswer, FetchOutcome, Subject};

impl Registry {
    /// Notes what a request took.
    pub(crate) fn spent(&self, metered: &Metered<'_>, now: Moment) {
        if let Ok(mut state) = self.state.try_borrow_mut()
            && self.policy.protocol == Protocol::Keyswap
        {
            state.spend.add(metered, now);
        }
    }

    pub(super) fn spend_due(&self, state: &mut Memory, now: Moment, store: &dyn Store) -> Option<Fetch> {
        let body = state.spend.report(now, || self.report_id(now, store))?;
        let request = self.call("/v1/usage", self.policy.timeout).post("application/json", body.into());
        Some(Fetch::new(self.key(Subject::Spend), request, state.as_of(now)))
    }

    pub(super) fn accept_spend(&self, answer: &FetchAnswer<'_>, now: Moment) -> FetchOutcome {
        let Ok(mut state) = self.state.try_borrow_mut() else { return FetchOutcome::Failed };
        match answer {
            FetchAnswer::Response { status: 200..=299, .. } => {
                state.spend.settle(true, now);
                FetchOutcome::Found
            }
            // The registry will not take this report, however often it is sent.
            FetchAnswer::Response { status: 400 | 413 | 415 | 422, .. } => {
                state.spend.settle(false, now);
                FetchOutcome::Malformed
            }
            FetchAnswer::Response { .. } => {
                state.spend.retry(now);
                FetchOutcome::Unavailable
            }
            FetchAnswer::Failed => {
                state.spend.retry(now);
                FetchOutcome::Failed
            }
        }
    }

    /// Returns an id that no other report has: of this worker, of another one of the process, or of another data plane.
    /// A number that the workers share tells reports of one moment apart.
    fn report_id(&self, now: Moment, store: &dyn Store) -> String {
        let digest = self.origin;
        let mut number = 0_u64;
        // Without shared memory the process has one worker, which makes one report at a time.
        let _ = store.update(&SlotKind::Report.key(&digest), &mut |value| {
            let last = value.and_then(|value| value.strip_prefix(b"\x01")).and_then(<[u8]>::first_chunk);
            number = last.map_or(0, |last| u64::from_le_bytes(*last)).wrapping_add(1);
            Update::Set([&b"\x01"[..], &number.to_le_bytes()].concat())
        });
        let text = [digest.bytes(), &now.0.to_be_bytes()[..], &number.to_be_bytes()].concat();
        let mut id = Digest::of(&text).to_hex();
        id.truncate(32);
        id
    }
}
