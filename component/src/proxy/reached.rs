//! The upstreams that were reached a moment ago, as far as this instance has seen.
//!
//! A time limit for connecting costs a timer of the host for each request, which is more than judging the request
//! costs. A request to an upstream that has just answered goes without that timer. If the upstream is gone since, the
//! request waits as on a connection that was kept open.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use keyswap_core::base::Moment;

/// The time for which an upstream counts as reached.
const LATELY: Duration = Duration::from_secs(1);

/// The moments at which upstreams last answered. Policies name the upstreams, so their number is bounded.
#[derive(Default)]
pub(super) struct Reached(RefCell<BTreeMap<String, Moment>>);

impl Reached {
    /// Returns whether the upstream answered a moment ago.
    pub(super) fn lately(&self, authority: &str, now: Moment) -> bool {
        let Ok(reached) = self.0.try_borrow() else { return false };
        reached.get(authority).is_some_and(|at| now.is_within(LATELY, *at))
    }

    /// Notes that the upstream has answered a request of this time.
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
