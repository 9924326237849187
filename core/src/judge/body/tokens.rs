//! The rate limit in tokens of the caller of one request.

use super::meter_rules::MeterRules;
use crate::answer::CheckError;
use crate::base::{Digest, Moment};
use crate::host::Store;
use crate::identity::CallerRecord;
use crate::limit::{Hold, InForce, TokenLimit, TokensTaken, reserve_tokens, settle_tokens};
use crate::policy::Policy;

/// The state of a request in the limit of its caller.
pub(super) struct TokenMeter {
    caller: Digest,
    limit: Option<TokenLimit>,
    hold: Option<Hold>,
    taken: Option<TokensTaken>,
}

impl TokenMeter {
    pub(super) fn new(policy: &Policy, record: &CallerRecord) -> Self {
        let limit = InForce::of(record.rate_limit, policy.rate_limit.as_ref()).tokens;
        Self { caller: record.digest, limit, hold: None, taken: None }
    }

    /// Returns the limit.
    pub(super) fn limit(&self) -> Option<TokenLimit> {
        self.limit
    }

    /// Reserves the tokens of the request. Returns whether they are reserved: without a limit they need not be.
    pub(super) fn reserve(
        &mut self,
        rules: &MeterRules,
        tokens: u64,
        now: Moment,
        store: &dyn Store,
    ) -> Result<bool, CheckError<'static>> {
        let Some(limit) = self.limit else { return Ok(false) };
        let reserved = rules.counts_tokens.then(|| reserve_tokens(store, &self.caller, limit, tokens, now));
        match reserved {
            Some(Ok(Ok((hold, taken)))) => {
                (self.hold, self.taken) = (Some(hold), Some(taken));
                Ok(true)
            }
            Some(Ok(Err(taken))) => Err(CheckError::TokensLimited(taken)),
            Some(Err(_)) | None if rules.passes_uncounted => Ok(false),
            Some(Err(_)) | None => Err(CheckError::TokensUncounted),
        }
    }

    /// Ends the reservation. One whose end cannot be written ends by itself.
    pub(super) fn settle(&mut self, tokens: u64, now: Moment, store: &dyn Store) {
        if let Some(hold) = self.hold.take() {
            settle_tokens(store, &hold, tokens, now).unwrap_or_default();
        }
    }

    /// Returns what is left of the limit, once after it was taken from.
    pub(super) fn taken(&mut self) -> Option<TokensTaken> {
        self.taken.take()
    }
}
