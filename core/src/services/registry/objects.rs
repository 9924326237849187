//! The holders of objects: looked up like tokens, claimed for the caller that made them, and forgotten when deleted.
//!
//! Only an object that is known to be a caller's own passes from memory. For any other the registry is asked each time,
//! so that one that is another caller's takes as long as one that never was.

use serde_json::json;

use super::client::Registry;
use super::late_answer;
use super::memory::Memory;
use super::object_answer::Told;
use super::object_guesses::Asking;
use super::object_holder::{Held, Holder};
use super::object_memory::{BATCH, Claim, KnownObject};
use super::shared_record::{self, SharedRecord};
use super::signed_record::{self, RecordFault, objects_name};
use crate::answer::CheckError;
use crate::base::{Digest, Moment};
use crate::host::{Forgetful, SlotKind, Store};
use crate::identity::jwt::SignatureVerifier;
use crate::limit::Taken;
use crate::policy::Protocol;
use crate::services::fetch::{AsOf, Fetch, FetchAnswer, FetchOutcome, MAX_FETCHED_BYTES, Position, Subject};
use crate::services::resolution::{Accepted, Resolution};

/// The most objects of one lookup.
pub(crate) const MAX_LOOKED_UP: usize = 200;

/// The reason why the registry is not asked for objects.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unasked {
    /// It cannot be asked now.
    Unavailable,
    /// The caller has guessed too often.
    Guessed(Taken),
}

/// The knowledge whether an object is a caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owned {
    Own,
    /// It is another's, or not known to the registry, which was asked since.
    Foreign,
    /// The registry has to be asked.
    Unasked,
}

impl From<Unasked> for CheckError<'_> {
    fn from(unasked: Unasked) -> Self {
        match unasked {
            Unasked::Unavailable => Self::ObjectsUnavailable,
            Unasked::Guessed(taken) => Self::ObjectsGuessed(taken),
        }
    }
}

impl Registry {
    /// Returns whether the registry keeps objects.
    pub(crate) fn keeps_objects(&self) -> bool {
        self.policy.protocol == Protocol::Keyswap
    }

    /// Returns whether an object is a caller's. What is not counts only where the registry was asked at `since` or later.
    pub(crate) fn owns(
        &self,
        caller: &Held,
        digest: &Digest,
        since: Option<Moment>,
        now: Moment,
        store: &dyn Store,
    ) -> Owned {
        let Ok(mut state) = self.state.try_borrow_mut() else { return Owned::Unasked };
        let is_own = |known: &KnownObject| {
            now.is_within(self.policy.positive, known.asked_at)
                && known.holder.as_ref().is_some_and(|holder| caller.has(holder))
        };
        if state.objects.known.get(digest).is_some_and(is_own) {
            return Owned::Own;
        }
        if let Some(shared) = Self::shared_object(&state, digest, store).filter(is_own) {
            state.objects.known.insert(*digest, shared);
            return Owned::Own;
        }
        let is_asked = |known: &KnownObject| since.is_some_and(|since| known.called_at >= since);
        if state.objects.known.get(digest).is_some_and(is_asked) { Owned::Foreign } else { Owned::Unasked }
    }

    fn shared_object(state: &Memory, digest: &Digest, store: &dyn Store) -> Option<KnownObject> {
        let place = state.place(digest);
        let value = store.get(&SlotKind::Object.key(&place)).ok().flatten()?;
        let shared = SharedRecord::decode(&value, &place)?;
        let is_believed = state.feed.has_heard_of(shared.version)
            && state.feed.believes(digest, shared.version, shared.as_of);
        let (principal, team) = shared.record.filter(|_| is_believed)?.split_first_chunk::<32>()?;
        let team = Some(str::from_utf8(team).ok()?.to_owned()).filter(|team| !team.is_empty());
        let holder = Some(Holder { principal: Digest::from_bytes(*principal), team });
        let asked_at = shared.asked_at;
        Some(KnownObject { holder, version: shared.version, asked_at, called_at: asked_at })
    }

    fn know(
        state: &mut Memory,
        (digest, holder): (Digest, Option<Holder>),
        version: u64,
        ([called_at, asked_at], as_of): ([Moment; 2], Position),
        now: Moment,
        store: &dyn Store,
    ) {
        if let Some(Holder { principal, team }) = &holder {
            let words = [&principal.bytes()[..], team.as_deref().unwrap_or_default().as_bytes()].concat();
            let shared = SharedRecord {
                digest: state.place(&digest),
                version,
                as_of,
                asked_at,
                leased_until: Moment::default(),
                record: Some(&words),
            };
            // What could not be shared is looked up by each worker.
            let _ = shared_record::fill_in(SlotKind::Object, store, &shared, now);
        }
        state.objects.known.insert(digest, KnownObject { holder, version, asked_at, called_at });
    }

    /// Returns the call for the holders of objects that a caller names, of which it takes as many as the registry does, and the
    /// number of the call.
    ///
    /// # Errors
    /// The registry cannot be asked now, or not for this caller.
    pub(crate) fn objects_call(
        &self,
        caller: &Held,
        digests: &[Digest],
        now: Moment,
    ) -> Result<(Fetch, u64), Unasked> {
        self.find_call(digests, Some(caller), now)
    }

    /// Returns the call for the holders of the objects of a list, which the provider names, and its number. `None` where the
    /// registry cannot be asked now.
    pub(crate) fn listed_call(&self, digests: &[Digest], now: Moment) -> Option<(Fetch, u64)> {
        self.find_call(digests, None, now).ok()
    }

    /// Returns whether the call of this number has told nothing that is known now, and another one may: its answer was out of
    /// date, or the registry's history began anew meanwhile.
    pub(crate) fn is_outdated(&self, call: u64) -> bool {
        self.state.try_borrow().is_ok_and(|state| state.objects.is_outdated(call))
    }

    fn find_call(
        &self,
        digests: &[Digest],
        caller: Option<&Held>,
        now: Moment,
    ) -> Result<(Fetch, u64), Unasked> {
        let mut state = self.state.try_borrow_mut().map_err(|_| Unasked::Unavailable)?;
        if !state.breaker.is_ready(now) {
            return Err(Unasked::Unavailable);
        }
        let number = state.objects.next();
        if let Some(caller) = caller {
            state.objects.guesses.charge(number, caller, now).map_err(Unasked::Guessed)?;
        }
        let digests: Vec<Digest> = digests.iter().take(MAX_LOOKED_UP).copied().collect();
        let sha256: Vec<String> = digests.iter().map(Digest::to_hex).collect();
        let subject = Subject::Objects(number, digests);
        Ok((self.object_call(subject, "find", &json!({ "sha256": sha256 }), &state, now), number))
    }

    fn object_call(
        &self,
        subject: Subject,
        verb: &str,
        body: &serde_json::Value,
        state: &Memory,
        now: Moment,
    ) -> Fetch {
        // What only tells the registry has no answer to be signed.
        let is_signed = self.policy.keys.is_some() && subject != Subject::Removal;
        let accepted = if is_signed { "application/jose" } else { "application/json" };
        let call = self.call_for(accepted, &["/v1/objects/", verb].concat(), self.policy.timeout);
        let request = call.post("application/json", body.to_string().into_bytes().into());
        Fetch::new(self.key(subject), request, state.as_of(now))
    }

    /// Reads an answer about objects, and notes its outcome. Returns the objects with the moment of which they are.
    fn told(
        &self,
        digests: &[Digest],
        as_of: AsOf,
        answer: &FetchAnswer<'_>,
        verifier: &dyn SignatureVerifier,
        now: Moment,
    ) -> Result<(Vec<Told>, Moment), Accepted> {
        let read = match (answer, &self.policy.keys) {
            (FetchAnswer::Response { status: 200, body }, Some(keys)) if body.len() <= MAX_FETCHED_BYTES => {
                let opened = signed_record::verified(body, &objects_name(digests), keys, verifier, now);
                let read = opened.and_then(|(told, issued_at)| {
                    Ok((Told::list(&told).ok_or(RecordFault::Form)?, as_of.at.min(issued_at)))
                });
                read.map_err(|fault| (FetchOutcome::Malformed, Some(fault)))
            }
            (FetchAnswer::Response { status: 200, body }, None) => {
                Told::read(body).map(|told| (told, as_of.at)).ok_or((FetchOutcome::Malformed, None))
            }
            (FetchAnswer::Response { status: 200, .. }, Some(_)) => Err((FetchOutcome::Malformed, None)),
            (FetchAnswer::Response { .. }, _) => Err((FetchOutcome::Unavailable, None)),
            (FetchAnswer::Failed, _) => Err((FetchOutcome::Failed, None)),
        };
        self.note_outcome(read.as_ref().err().map_or(FetchOutcome::Found, |(outcome, _)| *outcome), now);
        read.map_err(|(outcome, fault)| {
            let notes = self.state.try_borrow_mut().map(|mut state| state.told(fault)).unwrap_or_default();
            Accepted { outcome, resolution: Resolution::Unavailable, notes }
        })
    }

    /// Takes the answer about the holders of objects.
    pub(super) fn accept_objects(
        &self,
        (number, digests): (u64, &[Digest]),
        as_of: AsOf,
        answer: &FetchAnswer<'_>,
        verifier: &dyn SignatureVerifier,
        now: Moment,
        store: &dyn Store,
    ) -> Accepted {
        let told = self.told(digests, as_of, answer, verifier, now);
        let Ok(mut state) = self.state.try_borrow_mut() else { return Accepted::failed() };
        let asking = state.objects.guesses.settle(number, |caller| {
            let is_own = |digest: &Digest| {
                told.as_ref().map_or(true, |(told, _)| {
                    told.iter().any(|told| told.digest == *digest && caller.has(&told.holder))
                })
            };
            !digests.iter().all(is_own)
        });
        let (told, asked_at) = match told {
            Ok(told) => told,
            Err(accepted) => return accepted,
        };
        let mut outcome = FetchOutcome::Found;
        for digest in digests {
            let found = told.iter().find(|told| told.digest == *digest);
            let (holder, version) = found.map_or((None, 0), |told| (Some(told.holder.clone()), told.version));
            let is_believed = match found {
                Some(_) => state.feed.believes(digest, version, as_of.position),
                None => state.feed.believes_absence(digest, as_of.position),
            };
            if is_believed {
                let is_its = |asking: &&Asking| holder.as_ref().is_some_and(|it| asking.caller.has(it));
                let foreign = asking.as_ref().filter(|asking| !is_its(asking));
                if let Some(Asking { caller, .. }) = foreign.filter(|asking| asking.is_late) {
                    late_answer::keep(&state, caller, digest, as_of, now, store);
                }
                // Another's object is not shared, as one that never was cannot be: both cost the same calls of the host.
                let shared = foreign.map_or(store, |_| &Forgetful as &dyn Store);
                let asked = ([as_of.at, asked_at], as_of.position);
                Self::know(&mut state, (*digest, holder), version, asked, now, shared);
            } else {
                outcome = FetchOutcome::Stale;
            }
        }
        if outcome == FetchOutcome::Stale {
            state.objects.note_stale(number);
            return Accepted::new(outcome, Resolution::Retry);
        }
        Accepted::new(outcome, Resolution::Refreshed)
    }

    fn note_outcome(&self, outcome: FetchOutcome, now: Moment) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.breaker.record(!outcome.is_outage(), now);
        }
    }

    /// Claims objects for the caller that made them. Other workers of the process know it at once. Returns the number of the
    /// claim, which is told to the registry until it is confirmed; `None` where there is no room for another.
    pub(crate) fn claim(&self, claims: Vec<Claim>, now: Moment, store: &dyn Store) -> Option<u64> {
        let mut state = self.state.try_borrow_mut().ok()?;
        let position = state.feed.position().unwrap_or_default();
        for claim in &claims {
            let digest = claim.digest();
            // What is known to be another's stays so: the first claim holds, and the registry says which it was.
            if state.objects.known.get(&digest).is_some_and(|known| known.holder.is_some()) {
                continue;
            }
            let object = (digest, Some(claim.holder.clone()));
            Self::know(&mut state, object, 0, ([now; 2], position), now, store);
        }
        state.objects.wait(claims, now)
    }

    /// Returns the call that tells a claim; `None` where the registry has confirmed it, or it was given up.
    pub(crate) fn claim_call(&self, number: u64, now: Moment) -> Option<Fetch> {
        let state = self.state.try_borrow().ok()?;
        self.call_of_claim(number, &state, now)
    }

    fn call_of_claim(&self, number: u64, state: &Memory, now: Moment) -> Option<Fetch> {
        let waiting = state.objects.waiting.get(&number)?;
        let object = |claim: &Claim| {
            json!({
                "provider": claim.provider, "kind": claim.kind, "id": claim.id,
                "principal": claim.holder.principal.to_hex(), "owner": claim.owner, "team": claim.holder.team,
                "expires_at": null,
            })
        };
        let objects: Vec<_> = waiting.claims.iter().take(BATCH).map(object).collect();
        Some(self.object_call(Subject::Claim(number), "claim", &json!({ "objects": objects }), state, now))
    }

    /// Returns whether the registry has confirmed a claim.
    pub(crate) fn is_confirmed(&self, number: u64) -> bool {
        self.state.try_borrow().is_ok_and(|state| !state.objects.waiting.contains_key(&number))
    }

    /// Returns whether the last call for a claim was taken.
    pub(crate) fn has_progress(&self, number: u64) -> bool {
        self.state
            .try_borrow()
            .is_ok_and(|state| state.objects.waiting.get(&number).is_some_and(|waiting| waiting.has_progress))
    }

    pub(super) fn accept_claim(
        &self,
        number: u64,
        as_of: AsOf,
        answer: &FetchAnswer<'_>,
        verifier: &dyn SignatureVerifier,
        now: Moment,
        store: &dyn Store,
    ) -> Accepted {
        let Some(claimed) = self.claimed(number) else {
            return Accepted::new(FetchOutcome::Stale, Resolution::Refreshed);
        };
        let (told, asked_at) = match self.told(&claimed, as_of, answer, verifier, now) {
            Ok(told) => told,
            Err(accepted) => return accepted,
        };
        let Ok(mut state) = self.state.try_borrow_mut() else { return Accepted::failed() };
        let is_whole = claimed.iter().all(|digest| told.iter().any(|told| told.digest == *digest));
        let Some(waiting) = state.objects.waiting.get_mut(&number).filter(|_| is_whole) else {
            return Accepted::new(FetchOutcome::Malformed, Resolution::Unavailable);
        };
        waiting.claims.drain(..claimed.len());
        waiting.has_progress = true;
        if waiting.claims.is_empty() {
            state.objects.waiting.remove(&number);
        }
        let position = state.feed.position().unwrap_or_default();
        for Told { digest, holder, version } in told.into_iter().filter(|told| claimed.contains(&told.digest))
        {
            let asked = ([as_of.at, asked_at], position);
            Self::know(&mut state, (digest, Some(holder)), version, asked, now, store);
        }
        Accepted::new(FetchOutcome::Found, Resolution::Refreshed)
    }

    /// Returns the objects of the call for a claim.
    fn claimed(&self, number: u64) -> Option<Vec<Digest>> {
        let state = self.state.try_borrow().ok()?;
        let waiting = state.objects.waiting.get(&number)?;
        Some(waiting.claims.iter().take(BATCH).map(Claim::digest).collect())
    }

    /// Notes that a caller has deleted an object of its own.
    pub(crate) fn remove_object(&self, digest: Digest, store: &dyn Store) {
        let Ok(mut state) = self.state.try_borrow_mut() else { return };
        state.objects.remove(digest);
        let _ = shared_record::bury_in(SlotKind::Object, store, state.place(&digest), u64::MAX);
    }

    pub(super) fn accept_removal(&self, answer: &FetchAnswer<'_>, now: Moment) -> FetchOutcome {
        let outcome = match answer {
            FetchAnswer::Response { status: 200..=299, .. } => FetchOutcome::Found,
            FetchAnswer::Response { status: 400 | 413 | 422, .. } => FetchOutcome::Malformed,
            FetchAnswer::Response { .. } => FetchOutcome::Unavailable,
            FetchAnswer::Failed => FetchOutcome::Failed,
        };
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.objects.settle_removal(!outcome.is_outage(), now);
        }
        outcome
    }

    /// Returns the calls about objects that are due and that no request waits for.
    pub(super) fn objects_due(&self, state: &mut Memory, now: Moment) -> Vec<Fetch> {
        let numbers = state.objects.due(now);
        let claims = numbers.into_iter().filter_map(|number| self.call_of_claim(number, state, now));
        let mut due: Vec<Fetch> = claims.collect();
        let removed = state.objects.removals(now);
        let removed = removed.map(|all| all.iter().map(Digest::to_hex).collect::<Vec<_>>());
        due.extend(removed.map(|sha256| {
            self.object_call(Subject::Removal, "remove", &json!({ "sha256": sha256 }), state, now)
        }));
        due
    }
}
