//! Which upstreams were reached a moment ago, as far as this instance has seen.
//!
//! To connect may take so long and no longer, which a host sees to with a timer of its own for each request. To an upstream
//! that has just answered a request goes without one, since it costs more than to judge the request. If that upstream has
//! gone since, the request waits as it would on a connection that had been kept open.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use keyswap_core::base::Moment;

/// A moment.
const LATELY: Duration = Duration::from_secs(1);

/// When upstreams answered last. There are as many as policies name.
#[derive(Default)]
pub(super) struct Reached(RefCell<BTreeMap<String, Moment>>);

impl Reached {
    /// Returns whether the upstream answered a moment ago.
    pub(super) fn lately(&self, authority: &str, now: Moment) -> bool {
        let Ok(reached) = self.0.try_borrow() else { return false };
        reached.get(authority).is_some_and(|at| now.is_within(LATELY, *at))
    }

    /// It has answered a request of this time.
    pub(super) fn note(&self, authority: &str, at: Moment) {
        let Ok(mut reached) = self.0.try_borrow_mut() else { return };
        match reached.get_mut(authority) {
            Some(last) => *last = at,
            None => {
                reached.insert(authority.to_owned(), at);
            }
        }
    }
}
