//! The lookups of objects that a caller may have made for it: those that find its own cost nothing, any other may be a guess.
//!
//! A lookup is charged when it is made, so that many at once are too many, and given back if it was no guess.

use std::collections::BTreeMap;

use super::object_holder::Held;
use crate::base::{Cache, Moment};
use crate::limit::{Gcra, RateLimit, Taken};

/// The lookups that may be guesses, and the seconds in which they count: more than a program with stale ids makes, too few to
/// load the registry.
const MAX_GUESSES: (u32, u32) = (100, 20);
/// The most callers whose guesses are counted: the one that has guessed longest ago has a full budget again.
const MAX_CALLERS: usize = 4096;
/// The most lookups on their way. One that is forgotten is not given back.
const MAX_ASKING: usize = 2000;

pub(super) struct Guesses {
    /// The theoretical arrival times of callers, by their principals: see [`Gcra`].
    spent: Cache<i64>,
    /// The lookups on their way.
    asking: BTreeMap<u64, Asking>,
}

/// A lookup on its way.
pub(super) struct Asking {
    pub(super) caller: Held,
    /// Set where no request waits for the answer.
    pub(super) is_late: bool,
}

impl Default for Guesses {
    fn default() -> Self {
        Self { spent: Cache::new(MAX_CALLERS), asking: BTreeMap::new() }
    }
}

impl Guesses {
    /// Charges a caller for the lookup of this number.
    ///
    /// # Errors
    /// The budget of a caller that has guessed too often.
    pub(super) fn charge(&mut self, number: u64, caller: &Held, now: Moment) -> Result<(), Taken> {
        let Some(budget) = budget() else { return Ok(()) };
        let principal = caller.holder.principal;
        let (spent, taken) = budget.take(self.spent.get(&principal).copied(), now.nanoseconds());
        if !taken.allowed {
            return Err(taken);
        }
        self.spent.insert(principal, spent);
        if self.asking.len() >= MAX_ASKING {
            self.asking.pop_first();
        }
        self.asking.insert(number, Asking { caller: caller.clone(), is_late: false });
        Ok(())
    }

    /// Notes that the request of a lookup has ended without its answer.
    pub(super) fn leave(&mut self, number: u64) {
        self.asking.entry(number).and_modify(|asking| asking.is_late = true);
    }

    /// Ends the lookup of this number. `was_guess` tells whether its answer has an object that is not the caller's. Returns the
    /// caller.
    pub(super) fn settle(&mut self, number: u64, was_guess: impl FnOnce(&Held) -> bool) -> Option<Asking> {
        let asking = self.asking.remove(&number)?;
        let caller = &asking.caller;
        if !was_guess(caller)
            && let (Some(spent), Some(budget)) = (self.spent.get_mut(&caller.holder.principal), budget())
        {
            *spent = budget.give_back(*spent);
        }
        Some(asking)
    }
}

fn budget() -> Option<Gcra> {
    RateLimit::new(MAX_GUESSES.0, MAX_GUESSES.1).map(Gcra::new)
}
