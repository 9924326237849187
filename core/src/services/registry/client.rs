//! A registry as a worker asks it: the calls that are made, and the readers of their answers.
//!
//! A record is taken from the worker's memory, else from shared memory, else from the registry. No copy is used for
//! longer than the policy says, nor after the registry announced a change. While the registry cannot be asked, only
//! cached records count.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Value, json};

use super::lease_state::Leases;
use super::memory::Memory;
use crate::base::{Digest, Moment};
use crate::host::{Capabilities, MemoryStore, Store};
use crate::identity::jwt::SignatureVerifier;
use crate::limit;
use crate::policy::{Protocol, RegistryPolicy};
use crate::secret::{SealKey, ServiceSecret};
use crate::services::fetch::{AsOf, Fetch, FetchAnswer, FetchKey, FetchOutcome, ServiceId, Subject};
use crate::services::resolution::{Accepted, Resolution};

/// The time for which a host that ticks gathers spending.
const GATHER_TIME: Duration = Duration::from_secs(2);

/// The registry of a policy, and its cache.
pub(crate) struct Registry {
    pub(super) id: ServiceId,
    pub(super) policy: RegistryPolicy,
    pub(super) authorization: ServiceSecret,
    /// Set where the host follows the feed for this worker, see [`Capabilities::ticks`].
    pub(super) is_followed: bool,
    /// The name of this data plane in reports.
    pub(super) node: String,
    /// The digest of that name and of the host's instance: the ids that this data plane makes depend on it.
    pub(super) origin: Digest,
    pub(super) state: RefCell<Memory>,
    pub(super) leases: RefCell<Leases>,
    /// The slices of budgets, where the host has no memory for them.
    own: Option<MemoryStore>,
    /// The time for which spending is gathered before it is told.
    pub(super) gathering: Duration,
}

impl Registry {
    pub(crate) fn new(
        id: ServiceId,
        policy: RegistryPolicy,
        credential: &ServiceSecret,
        host: Capabilities,
        (node, instance): (&str, [u8; 16]),
    ) -> Self {
        // A host that does not come back may end behind any request.
        let gathering = if host.ticks { GATHER_TIME } else { Duration::ZERO };
        let state = RefCell::new(Memory::new(&policy, gathering));
        let authorization = credential.with_scheme("Bearer");
        let origin = Digest::of(&[&instance, node.as_bytes()].concat());
        let (node, leases) = (node.to_owned(), RefCell::default());
        let own = (!host.shared_memory).then(MemoryStore::default);
        let is_followed = host.ticks;
        Self { id, policy, authorization, is_followed, node, origin, state, leases, own, gathering }
    }

    pub(crate) fn id(&self) -> ServiceId {
        self.id
    }

    /// Returns a key for seals that every data plane with this credential opens.
    pub(crate) fn seal_key(&self) -> SealKey {
        SealKey::of(self.authorization.reveal().as_bytes())
    }

    /// Tells whether another policy describes this very registry.
    pub(crate) fn is_of(&self, policy: &RegistryPolicy) -> bool {
        self.policy == *policy
    }

    /// Tells whether a call may be made. The host asks once for each call.
    pub(crate) fn may_call(&self, subject: &Subject, now: Moment) -> bool {
        // The feed and reports have a pace of their own.
        matches!(subject, Subject::Changes | Subject::Usage | Subject::Spend | Subject::Removal)
            || self.state.try_borrow_mut().is_ok_and(|mut state| state.may_call(subject, now))
    }

    /// Notes that a call that is due was not made after all: it is due again soon.
    pub(crate) fn abandon(&self, subject: &Subject, now: Moment) {
        let Ok(mut state) = self.state.try_borrow_mut() else { return };
        match subject {
            Subject::Changes => state.feed_pause.end(now),
            Subject::Usage => state.usage.settle(false, now),
            Subject::Spend => state.spend.retry(now),
            Subject::Lease(number) => self.abandon_lease(*number),
            Subject::Removal => state.objects.settle_removal(false, now),
            _ => {}
        }
    }

    /// Takes the answer to a call. The resolution is for the requests that wait for it.
    pub(crate) fn accept(
        &self,
        subject: &Subject,
        as_of: AsOf,
        answer: &FetchAnswer<'_>,
        verifier: &dyn SignatureVerifier,
        now: Moment,
        store: &dyn Store,
    ) -> Accepted {
        let (outcome, resolution) = match subject {
            Subject::Token(_) | Subject::Person(_) => {
                return self.accept_record(subject, as_of, answer, verifier, now, store);
            }
            Subject::Limit(charge) => self.accept_taken(charge, answer, now),
            Subject::Changes => (self.accept_changes(as_of, answer, now, store), Resolution::Refreshed),
            Subject::Usage => (self.accept_usage(answer, now), Resolution::Refreshed),
            Subject::Spend => (self.accept_spend(answer, now), Resolution::Refreshed),
            Subject::Lease(number) => self.accept_leases(*number, answer, now, store),
            Subject::Objects(number, digests) => {
                return self.accept_objects((*number, digests), as_of, answer, verifier, now, store);
            }
            Subject::Claim(number) => return self.accept_claim(*number, as_of, answer, verifier, now, store),
            Subject::Removal => (self.accept_removal(answer, now), Resolution::Refreshed),
            Subject::Discovery
            | Subject::Keys
            | Subject::Credential
            | Subject::CallerCredential(..)
            | Subject::Bundle => return Accepted::failed(),
        };
        Accepted::new(outcome, resolution)
    }

    /// Returns the calls that are due and that no request waits for.
    pub(crate) fn due(&self, now: Moment, store: &dyn Store) -> Vec<Fetch> {
        let Ok(mut state) = self.state.try_borrow_mut() else { return Vec::new() };
        if self.policy.protocol != Protocol::Keyswap {
            return Vec::new();
        }
        let changes = self.changes_due(&mut state, now);
        let usage = self.usage_due(&mut state, now);
        drop(state);
        changes.into_iter().chain(usage).chain(self.reports(now, store)).collect()
    }

    /// Returns the calls that tell what requests took, and that no request waits for.
    pub(crate) fn reports(&self, now: Moment, store: &dyn Store) -> Vec<Fetch> {
        let Ok(mut state) = self.state.try_borrow_mut() else { return Vec::new() };
        if self.policy.protocol != Protocol::Keyswap {
            return Vec::new();
        }
        let spend = self.spend_due(&mut state, now, store);
        let objects = self.objects_due(&mut state, now);
        spend.into_iter().chain(objects).chain(self.leases_due(&state, now, store)).collect()
    }

    /// Tells whether the registry has confirmed all that requests took and made.
    pub(crate) fn is_told(&self, store: &dyn Store) -> bool {
        let (Ok(state), Ok(leases)) = (self.state.try_borrow(), self.leases.try_borrow()) else {
            return true;
        };
        let is_untold = |subject: &Digest| limit::is_untold(self.slices(store), subject);
        state.usage.is_told()
            && state.spend.len() == 0
            && state.objects.is_told()
            && leases.unsettled.is_empty()
            && !leases.active.keys().any(is_untold)
    }

    /// Tells whether the slices are this worker's own: it gives back what is left of them as soon as no request holds any.
    pub(super) fn returns_slices(&self) -> bool {
        self.own.is_some()
    }

    /// Returns the memory for slices: the host's, or the worker's own where the workers of the host share none.
    pub(super) fn slices<'s>(&'s self, store: &'s dyn Store) -> &'s dyn Store {
        self.own.as_ref().map_or(store, |own| own)
    }

    /// Tells whether the registry finds a token by its digest alone.
    pub(crate) fn finds_by_digest(&self) -> bool {
        self.policy.protocol == Protocol::Keyswap
    }

    /// Tells whether a use of the token today is noted already.
    pub(crate) fn is_marked(&self, digest: &Digest, now: Moment) -> bool {
        self.state.try_borrow().is_ok_and(|state| state.usage.is_marked(digest, now))
    }

    /// Notes that a token was used.
    pub(crate) fn mark_used(&self, digest: Digest, now: Moment) {
        if let Ok(mut state) = self.state.try_borrow_mut()
            && self.policy.protocol == Protocol::Keyswap
        {
            state.usage.mark(digest, now);
        }
    }

    fn usage_due(&self, state: &mut Memory, now: Moment) -> Option<Fetch> {
        let body = state.usage.report(now)?;
        let request = self.call("/v1/usage", self.policy.timeout).post("application/json", body.into());
        Some(Fetch::new(self.key(Subject::Usage), request, state.as_of(now)))
    }

    fn accept_usage(&self, answer: &FetchAnswer<'_>, now: Moment) -> FetchOutcome {
        let Ok(mut state) = self.state.try_borrow_mut() else { return FetchOutcome::Failed };
        let outcome = match answer {
            FetchAnswer::Response { status: 200..=299, .. } => FetchOutcome::Found,
            FetchAnswer::Response { .. } => FetchOutcome::Unavailable,
            FetchAnswer::Failed => FetchOutcome::Failed,
        };
        state.usage.settle(outcome == FetchOutcome::Found, now);
        outcome
    }

    /// Returns the state of the cache, in numbers.
    pub(crate) fn report(&self) -> Value {
        let Ok(state) = self.state.try_borrow() else { return Value::Null };
        json!({
            "authority": self.policy.url.authority,
            "position": state.feed.position().map(|position| position.change),
            "feed_failures": state.feed_pause.failures(),
            "records": state.records.len(),
            "unknown": state.unknown.len() + state.absent.len(),
            "unreported_spend": state.spend.len(),
            "lost_spend": state.spend.lost(),
        })
    }

    pub(super) fn key(&self, subject: Subject) -> FetchKey {
        FetchKey::new(self.id, subject)
    }
}
