//! The budgets of the caller of one request.

use std::rc::Rc;
use std::time::Duration;

use super::lack::Lack;
use super::meter_rules::{MeterRules, subjects};
use crate::answer::CheckError;
use crate::base::{Moment, UnixTime};
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
/// The time in which a call for a slice has its answer. No message of a WebSocket can wait for it.
const UNCOVERED_TIME: Duration = Duration::from_secs(2);
/// The most of these times for which a session goes on without a slice that covers it.
const MAX_UNCOVERED: u8 = 2;

/// The state of a request in the budgets of its caller.
pub(super) struct BudgetMeter {
    rules: Rc<MeterRules>,
    subjects: Vec<BudgetSubject>,
    held: Vec<Reservation>,
    /// The reservations that were charged, each emptied, for what is charged later.
    ended: Vec<Reservation>,
    /// The calls that the request has waited for.
    waits: u8,
    /// The slices that the request waits for.
    awaited: Option<(Vec<BudgetSubject>, Amount)>,
    /// The beginning of the time in which a session lacks a slice, and the number of such times behind each other.
    uncovered: Option<(Moment, u8)>,
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
        Self { rules, subjects, held, waits: 0, awaited: None, ended: Vec::new(), uncovered: None }
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
        self.call(registry, lacking, amount, now, store)
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
                let call = may_wait.then(|| self.call(registry, lacking, amount, now, store)).flatten();
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

    /// Reserves for the next answer of a session. Returns the call for what is lacking: a message does not wait for it, but the session
    /// goes on without for a while only.
    pub(super) fn renew(
        &mut self,
        amount: Amount,
        now: Moment,
        store: &dyn Store,
    ) -> Result<Option<Box<Fetch>>, CheckError<'static>> {
        // A session may lack something again and again. One that goes on without has waited: a call that has failed is not made again.
        self.waits = if self.uncovered.is_some() { 2 } else { 0 };
        match self.reserve(amount, now, store) {
            Ok(()) => {
                self.uncovered = None;
                Ok(None)
            }
            Err(Lack::Refused(error)) => Err(error),
            Err(Lack::Call(fetch)) => {
                let (since, times) = self.uncovered.unwrap_or((now, 1));
                let is_same = now.is_within(UNCOVERED_TIME, since);
                self.uncovered = Some(if is_same { (since, times) } else { (now, times.saturating_add(1)) });
                let goes_on = is_same || times < MAX_UNCOVERED;
                goes_on.then_some(Some(fetch)).ok_or(CheckError::BudgetUnavailable)
            }
        }
    }

    /// Charges what a session has taken so far, and ends its reservations.
    pub(super) fn charge(&mut self, due: Amount, now: Moment, store: &dyn Store) {
        self.stop_waiting();
        let rules = Rc::clone(&self.rules);
        let Some(registry) = &rules.registry else { return };
        let held = std::mem::take(&mut self.held);
        self.ended.retain(|ended| !held.iter().any(|held| held.subject == ended.subject));
        for ended in &self.ended {
            registry.charge(ended.emptied(), due, now, store);
        }
        for reservation in held {
            self.ended.push(reservation.emptied());
            registry.settle(reservation, due, now, store);
        }
    }

    /// Charges the request, and ends its reservations.
    pub(super) fn settle(&mut self, actual: Amount, now: Moment, store: &dyn Store) {
        self.charge(actual, now, store);
        self.ended.clear();
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
        now: Moment,
        store: &dyn Store,
    ) -> Option<Box<Fetch>> {
        let wanted: Vec<&BudgetSubject> = lacking.iter().collect();
        let call = registry.lease(&wanted, &amount, self.waits > 1, now, store)?;
        self.waits = self.waits.saturating_add(1);
        self.awaited = Some((lacking, amount));
        Some(Box::new(call))
    }

    fn stop_waiting(&mut self) {
        if let Some(((lacking, amount), registry)) = self.awaited.take().zip(self.rules.registry.as_ref()) {
            registry.forgo(&lacking, &amount);
        }
    }
}
