//! Slices of budgets, leased from the registry: requests reserve in shared memory, and one call in a while renews what is
//! in use and tells what was spent.
//!
//! A malformed answer neither admits nor refuses a request. A call tells totals, so that it may be repeated.

use serde_json::{Value, json};

use super::client::Registry;
use super::lease_answer;
use super::lease_state::{ACTIVE_TIME, BudgetSubject, Call, Leases, MAX_UNSETTLED};
use super::memory::{LOST_AFTER, Memory};
use crate::base::{Digest, Moment};
use crate::host::{Store, StoreError};
use crate::limit::{self, Amount, Budget, Reservation, Reserved, Standing, Told, Unit};
use crate::policy::Protocol;
use crate::price::Nano;
use crate::services::fetch::{Fetch, FetchAnswer, FetchOutcome, Subject};
use crate::services::resolution::Resolution;

/// The most subjects of a call: the registry takes no more.
const MAX_SUBJECTS: usize = 3;
/// The most calls that are begun at once and that no request waits for. The rest follow a second later.
const MAX_CALLS_DUE: usize = 16;

impl Registry {
    /// Reserves what a request of a subject can cost at most.
    ///
    /// # Errors
    /// [`StoreError`] where nothing can be reserved.
    pub(crate) fn reserve(
        &self,
        subject: &BudgetSubject,
        amount: &Amount,
        now: Moment,
        store: &dyn Store,
    ) -> Result<Reserved, StoreError> {
        let store = self.slices(store);
        let digest = self.place(subject).ok_or(StoreError::Unavailable)?;
        let mut leases = self.leases.try_borrow_mut().map_err(|_| StoreError::Unavailable)?;
        let active = leases.activate(digest, subject, now).ok_or(StoreError::Unavailable)?;
        let reserved = limit::reserve(store, &digest, amount, now)?;
        if matches!(reserved, Reserved::Held(_)) {
            active.held = active.held.saturating_add(1);
        }
        Ok(reserved)
    }

    /// Returns whether a call may bring what a request lacks in the slice of a subject. Reserves nothing.
    pub(crate) fn lacks(
        &self,
        subject: &BudgetSubject,
        amount: &Amount,
        now: Moment,
        store: &dyn Store,
    ) -> bool {
        let (Some(digest), Ok(mut leases)) = (self.place(subject), self.leases.try_borrow_mut()) else {
            return false;
        };
        leases.activate(digest, subject, now).is_some()
            && limit::lacks(self.slices(store), &digest, amount, now).unwrap_or(false)
    }

    /// Charges what a request has cost, and ends its reservation; an amount of nothing gives it back. A cost that cannot
    /// be charged now is charged later.
    pub(crate) fn settle(&self, reservation: Reservation, actual: Amount, now: Moment, store: &dyn Store) {
        if let Ok(mut leases) = self.leases.try_borrow_mut()
            && let Some(active) = leases.active.get_mut(&reservation.subject)
        {
            active.held = active.held.saturating_sub(1);
            active.until = now.after(ACTIVE_TIME);
        }
        self.charge(reservation, actual, now, store);
    }

    /// Charges what a request has cost besides, through an emptied reservation.
    pub(crate) fn charge(&self, reservation: Reservation, actual: Amount, now: Moment, store: &dyn Store) {
        let store = self.slices(store);
        let Ok(mut leases) = self.leases.try_borrow_mut() else { return };
        if limit::settle(store, &reservation, &actual, now).is_err() && leases.unsettled.len() < MAX_UNSETTLED
        {
            leases.unsettled.push((reservation, actual));
        }
    }

    /// Returns the state of a subject's budget; `None` where there is none or it is not known.
    pub(crate) fn standing(
        &self,
        subject: &BudgetSubject,
        now: Moment,
        store: &dyn Store,
    ) -> Option<Standing> {
        limit::standing(self.slices(store), &self.place(subject)?, now)
    }

    /// Returns the call for slices that a request of these subjects lacks. A call for them that is on its way already is the
    /// same call; otherwise the call asks for what all requests need that wait. The request waits until [`Self::forgo`].
    ///
    /// Returns `None` where the registry leases nothing or cannot be asked now, where there is no room for a slice, and where
    /// the last call has failed and the request `has_waited` before.
    pub(crate) fn lease(
        &self,
        wanted: &[&BudgetSubject],
        amount: &Amount,
        has_waited: bool,
        now: Moment,
        store: &dyn Store,
    ) -> Option<Fetch> {
        let store = self.slices(store);
        let state = self.state.try_borrow().ok()?;
        if self.policy.protocol != Protocol::Keyswap
            || wanted.len() > MAX_SUBJECTS
            || !state.breaker.is_ready(now)
        {
            return None;
        }
        let mut leases = self.leases.try_borrow_mut().ok()?;
        leases.calls.retain(|call| now.is_within(LOST_AFTER, call.at));
        let digests: Vec<Digest> = wanted.iter().map(|subject| state.slice(&subject.name)).collect();
        let covers =
            |call: &&Call| digests.iter().all(|digest| call.told.iter().any(|(own, ..)| own == digest));
        let found = leases.calls.iter().find(covers).map(|call| self.lease_call(call, &state, now));
        if found.is_none() && has_waited && digests.iter().any(|digest| leases.has_failed(digest)) {
            return None;
        }
        let mut told = Vec::new();
        for (subject, digest) in wanted.iter().zip(&digests).filter(|_| found.is_none()) {
            let begun = limit::begin(store, digest, self.nonce(digest, now), now).ok().flatten()?;
            let all = leases.wanted(digest).plus(amount);
            // Without a unit it is not known how much is needed: the registry grants what it does at first.
            let all = begun.unit.and_then(|unit| all.of(unit)).unwrap_or(0);
            let need = all.saturating_sub(begun.free);
            told.push((*digest, (*subject).clone(), begun, need));
        }
        for digest in &digests {
            leases.change_wanted(digest, |sum| sum.plus(amount));
        }
        Some(found.unwrap_or_else(|| self.begin_call(&mut leases, told, &state, now)))
    }

    /// Notes that a request waits no more for slices of these subjects: see [`Self::lease`].
    pub(crate) fn forgo(&self, wanted: &[BudgetSubject], amount: &Amount) {
        let (Ok(state), Ok(mut leases)) = (self.state.try_borrow(), self.leases.try_borrow_mut()) else {
            return;
        };
        for subject in wanted {
            leases.change_wanted(&state.slice(&subject.name), |sum| sum.minus(amount));
        }
    }

    /// Takes in the outcome of a call for slices.
    pub(super) fn accept_leases(
        &self,
        number: u64,
        answer: &FetchAnswer<'_>,
        now: Moment,
        store: &dyn Store,
    ) -> (FetchOutcome, Resolution) {
        let store = self.slices(store);
        let Some(call) = self.take_call(number) else { return (FetchOutcome::Stale, Resolution::Refreshed) };
        let names: Vec<&str> = call.told.iter().map(|(_, subject, ..)| subject.name.as_str()).collect();
        let granted = match answer {
            FetchAnswer::Response { status: 200, body } => {
                lease_answer::read(body, &names).ok_or(FetchOutcome::Malformed)
            }
            FetchAnswer::Response { status: 401 | 403 | 429 | 500.., .. } => Err(FetchOutcome::Unavailable),
            FetchAnswer::Response { .. } => Err(FetchOutcome::Malformed),
            FetchAnswer::Failed => Err(FetchOutcome::Failed),
        };
        let outcome = granted.as_ref().err().copied().unwrap_or(FetchOutcome::Found);
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.breaker.record(!outcome.is_outage(), now);
        }
        if let Ok(mut leases) = self.leases.try_borrow_mut() {
            leases.note(&call, granted.is_err());
        }
        let Ok(granted) = granted else {
            call.told.iter().for_each(|(digest, _, told, _)| limit::fail(store, digest, told, now));
            return (outcome, Resolution::Unavailable);
        };
        let mut resolution = Resolution::Refreshed;
        for ((digest, _, told, _), granted) in call.told.iter().zip(&granted) {
            if limit::grant(store, digest, told, granted, now).is_err() {
                resolution = Resolution::Unavailable;
            }
        }
        (outcome, resolution)
    }

    /// Notes that a call was not made after all.
    pub(super) fn abandon_lease(&self, number: u64) {
        if let Some(call) = self.take_call(number)
            && let Ok(mut leases) = self.leases.try_borrow_mut()
        {
            leases.note(&call, true);
            leases.abandoned.push(call);
        }
    }

    /// Returns the calls that are due and that no request waits for.
    pub(super) fn leases_due(&self, state: &Memory, now: Moment, store: &dyn Store) -> Vec<Fetch> {
        let store = self.slices(store);
        let Ok(mut leases) = self.leases.try_borrow_mut() else { return Vec::new() };
        for call in std::mem::take(&mut leases.abandoned) {
            call.told.iter().for_each(|(digest, _, told, _)| limit::fail(store, digest, told, now));
        }
        leases
            .unsettled
            .retain(|(reservation, actual)| limit::settle(store, reservation, actual, now).is_err());
        if !state.breaker.is_ready(now) {
            return Vec::new();
        }
        let mut due = Vec::new();
        leases.active.retain(|digest, active| {
            let has_room = due.len() < MAX_CALLS_DUE.saturating_mul(MAX_SUBJECTS);
            let begun = if has_room {
                let nonce = self.nonce(digest, now);
                let returned = self.returns_slices().then(|| limit::begin_return(store, digest, nonce, now));
                let returned = returned.and_then(|begun| begun.ok().flatten());
                returned
                    .or_else(|| limit::begin_due(store, digest, nonce, self.gathering, now).ok().flatten())
            } else {
                None
            };
            let stays = active.held > 0 || now < active.until || begun.is_some() || !has_room;
            due.extend(begun.map(|told| (*digest, active.subject.clone(), told, 0)));
            stays
        });
        let mut fetches = Vec::new();
        while !due.is_empty() {
            let rest = due.split_off(due.len().min(MAX_SUBJECTS));
            fetches.push(self.begin_call(&mut leases, std::mem::replace(&mut due, rest), state, now));
        }
        fetches
    }

    fn place(&self, subject: &BudgetSubject) -> Option<Digest> {
        self.state.try_borrow().ok().map(|state| state.slice(&subject.name))
    }

    fn take_call(&self, number: u64) -> Option<Call> {
        let mut leases = self.leases.try_borrow_mut().ok()?;
        let index = leases.calls.iter().position(|call| call.number == number)?;
        Some(leases.calls.swap_remove(index))
    }

    fn begin_call(
        &self,
        leases: &mut Leases,
        told: Vec<(Digest, BudgetSubject, Told, u64)>,
        state: &Memory,
        now: Moment,
    ) -> Fetch {
        leases.number = leases.number.wrapping_add(1);
        let call = Call { number: leases.number, at: now, told };
        let fetch = self.lease_call(&call, state, now);
        leases.calls.push(call);
        fetch
    }

    fn lease_call(&self, call: &Call, state: &Memory, now: Moment) -> Fetch {
        let entry = |(_, subject, told, need): &(Digest, BudgetSubject, Told, u64)| {
            let is_first = told.lease.is_empty();
            json!({
                "subject": subject.name,
                "id": (!is_first).then_some(&told.lease),
                // Workers that ask at the same time for a first lease get the same one.
                "nonce": is_first.then(|| hex::encode(told.nonce)),
                "spent": told.spent,
                "returned": told.returned,
                "need": need,
                "budget": subject.default.as_ref().map(budget),
            })
        };
        let entries: Vec<Value> = call.told.iter().map(entry).collect();
        let body = json!({"leases": entries, "node": self.node}).to_string().into_bytes();
        let request = self.call("/v1/leases", self.policy.timeout).post("application/json", body.into());
        Fetch::new(self.key(Subject::Lease(call.number)), request, state.as_of(now))
    }

    /// Returns a value that no other data plane comes to, for the first lease of a subject.
    fn nonce(&self, digest: &Digest, now: Moment) -> [u8; 16] {
        let text = [&self.origin.bytes()[..], digest.bytes(), &now.0.to_be_bytes()].concat();
        *Digest::of(&text).bytes().first_chunk().unwrap_or(&[0; 16])
    }
}

/// Returns a budget as the registry reads it.
fn budget(budget: &Budget) -> Value {
    let amount: Value = match budget.unit {
        Unit::Usd => Nano(budget.amount).to_string().into(),
        Unit::Tokens => budget.amount.into(),
    };
    json!({budget.unit.name(): amount, "per": budget.per.name(), "timezone": budget.timezone})
}
