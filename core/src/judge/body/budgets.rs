//! The budgets of the caller of one request.

use std::rc::Rc;
use std::time::Duration;

use super::lack::Lack;
use super::meter_rules::{MeterRules, subjects};
use crate::answer::CheckError;
use crate::base::{Digest, Moment, UnixTime};
use crate::host::Store;
use crate::identity::CallerRecord;
use crate::limit::{Amount, Reservation, Reserved};
use crate::policy::Policy;
use crate::services::Fetch;
use crate::services::registry::{BudgetSubject, Registry};

/// The most calls for slices that one request waits for.
///
/// The first call may have begun before it was known how much the request needs, and in a burst the requests of other workers
/// may take what the next ones bring. A budget that cannot cover the request, or a registry that fails, ends the wait before.
const MAX_WAITS: u8 = 8;
/// The longest time for which a WebSocket goes on without a slice that covers it: a message cannot wait for the call.
const MAX_UNCOVERED: Duration = Duration::from_secs(2);

/// The state of a request in the budgets of its caller.
pub(super) struct BudgetMeter {
    rules: Rc<MeterRules>,
    subjects: Vec<BudgetSubject>,
    held: Vec<Reservation>,
    /// The calls that the request has waited for.
    waits: u8,
    /// The slices that the request waits for.
    awaited: Option<(Vec<BudgetSubject>, Amount)>,
    uncovered_since: Option<Moment>,
}

/// The outcome of reserving in every budget of a caller.
struct Tried {
    held: Vec<Reservation>,
    lacking: Vec<BudgetSubject>,
    /// The first error.
    refused: Option<CheckError<'static>>,
}

impl BudgetMeter {
    pub(super) fn new(rules: &Rc<MeterRules>, policy: &Policy, record: &CallerRecord) -> Self {
        let subjects = subjects(policy, record).into_iter().map(|(_, subject)| subject).collect();
        let (rules, held) = (Rc::clone(rules), Vec::new());
        Self { rules, subjects, held, waits: 0, awaited: None, uncovered_since: None }
    }

    /// Returns whether a budget can have the request refused.
    pub(super) fn has_any(&self) -> bool {
        self.rules.budgets && !self.subjects.is_empty()
    }

    /// Returns the call for slices that would be lacking; `None` where none is, and where none can be made.
    pub(super) fn prepare(&mut self, amount: Amount, now: Moment, store: &dyn Store) -> Option<Box<Fetch>> {
        let rules = Rc::clone(&self.rules);
        let registry = rules.registry.as_ref().filter(|_| rules.budgets && self.waits == 0)?;
        let lacks = |subject: &&BudgetSubject| registry.lacks(subject, &amount, now, store);
        let lacking: Vec<BudgetSubject> = self.subjects.iter().filter(lacks).cloned().collect();
        if lacking.is_empty() {
            return None;
        }
        let call = self.call(registry, lacking, amount, false, now, store);
        self.waits = self.waits.saturating_add(1);
        call
    }

    /// Reserves in every budget of the caller.
    pub(super) fn reserve(&mut self, amount: Amount, now: Moment, store: &dyn Store) -> Result<(), Lack> {
        let rules = Rc::clone(&self.rules);
        let Some(registry) = rules.registry.as_ref().filter(|_| rules.budgets) else { return Ok(()) };
        self.stop_waiting();
        let Tried { held, lacking, refused } = self.try_all(registry, &amount, now, store);
        let may_wait = self.waits < MAX_WAITS;
        let lack = match refused {
            Some(error) => Some(Lack::Refused(error)),
            None if lacking.is_empty() => None,
            None => {
                let has_waited = self.waits > 1;
                let call =
                    may_wait.then(|| self.call(registry, lacking, amount, has_waited, now, store)).flatten();
                self.waits = self.waits.saturating_add(1);
                Some(call.map_or(Lack::Refused(CheckError::BudgetUnavailable), Lack::Call))
            }
        };
        // What cannot be counted passes where the policy says so: but not a request that cannot wait for a registry that is there.
        let is_away = |lack: &Lack| matches!(lack, Lack::Refused(CheckError::BudgetUnavailable));
        let passes = rules.failure_mode_allow && may_wait;
        if let Some(lack) = lack.filter(|lack| !(passes && is_away(lack))) {
            for reservation in held {
                registry.settle(reservation, Amount::default(), now, store);
            }
            return Err(lack);
        }
        self.held.extend(held);
        Ok(())
    }

    /// Reserves more for a request whose answer goes on. Returns the call for what is lacking: the request does not wait for it, but goes on
    /// for a while only.
    pub(super) fn reserve_more(
        &mut self,
        amount: Amount,
        now: Moment,
        store: &dyn Store,
    ) -> Result<Option<Box<Fetch>>, CheckError<'static>> {
        // A request that goes on may wait as often as it lacks something.
        self.waits = if self.uncovered_since.is_some() { 2 } else { 0 };
        match self.reserve(amount, now, store) {
            Ok(()) => {
                self.uncovered_since = None;
                Ok(None)
            }
            Err(Lack::Refused(error)) => Err(error),
            Err(Lack::Call(fetch)) => {
                let since = *self.uncovered_since.get_or_insert(now);
                let goes_on = now.is_within(MAX_UNCOVERED, since);
                goes_on.then_some(Some(fetch)).ok_or(CheckError::BudgetUnavailable)
            }
        }
    }

    /// Charges the request, and ends its reservations.
    pub(super) fn settle(&mut self, actual: Amount, now: Moment, store: &dyn Store) {
        self.stop_waiting();
        let rules = Rc::clone(&self.rules);
        let Some(registry) = &rules.registry else { return };
        let mut charged: Vec<Digest> = Vec::new();
        for reservation in std::mem::take(&mut self.held) {
            // A subject may have several reservations.
            let is_charged = charged.contains(&reservation.subject);
            charged.push(reservation.subject);
            let amount = if is_charged { Amount::default() } else { actual };
            registry.settle(reservation, amount, now, store);
        }
    }

    /// Tries each budget.
    fn try_all(&self, registry: &Registry, amount: &Amount, now: Moment, store: &dyn Store) -> Tried {
        let mut tried = Tried { held: Vec::new(), lacking: Vec::new(), refused: None };
        for subject in &self.subjects {
            let refused = match registry.reserve(subject, amount, now, store) {
                Ok(Reserved::Held(reservation)) => {
                    tried.held.push(reservation);
                    continue;
                }
                Ok(Reserved::Unlimited) => continue,
                Ok(Reserved::Unpriced) if self.rules.allows_unpriced => continue,
                Ok(Reserved::Short | Reserved::Missing) => {
                    tried.lacking.push(subject.clone());
                    continue;
                }
                Ok(Reserved::Unpriced) => CheckError::Unpriced,
                Ok(Reserved::Spent(standing)) => {
                    CheckError::BudgetSpent(UnixTime(i64::try_from(standing.resets_at).unwrap_or(i64::MAX)))
                }
                Ok(Reserved::Busy) => CheckError::BudgetReserved,
                Err(_) => CheckError::BudgetUnavailable,
            };
            tried.refused.get_or_insert(refused);
        }
        tried
    }

    /// Returns the call for what is lacking; `None` where the registry cannot be asked.
    fn call(
        &mut self,
        registry: &Registry,
        lacking: Vec<BudgetSubject>,
        amount: Amount,
        has_waited: bool,
        now: Moment,
        store: &dyn Store,
    ) -> Option<Box<Fetch>> {
        let wanted: Vec<&BudgetSubject> = lacking.iter().collect();
        let call = registry.lease(&wanted, &amount, has_waited, now, store)?;
        self.awaited = Some((lacking, amount));
        Some(Box::new(call))
    }

    fn stop_waiting(&mut self) {
        if let Some(((lacking, amount), registry)) = self.awaited.take().zip(self.rules.registry.as_ref()) {
            registry.forgo(&lacking, &amount);
        }
    }
}
