//! The policies in force at one moment, and the judgement of requests by them.

use std::rc::Rc;

use super::exchange::Exchange;
use super::next::{Background, Next};
use super::rollout::Rollout;
use super::ticket::{Entry, Ticket};
use crate::base::Moment;
use crate::host::Store;
use crate::judge::{Decision, Observation, Request, is_live_query};
use crate::services::bundle::Bundles;
use crate::services::{Fetch, Resolution};

/// The policies in force, or none yet. Decisions borrow from this value, so that policies are replaced only between two
/// requests.
pub struct InForce<'w> {
    bundles: Option<&'w Bundles>,
    rollout: Option<Rc<Rollout>>,
}

impl<'w> InForce<'w> {
    pub(super) fn new(rollout: Option<Rc<Rollout>>, bundles: Option<&'w Bundles>) -> Self {
        Self { bundles, rollout }
    }

    /// Returns the SHA-256 of the document in force, in hexadecimal digits; `None` before the first policy came.
    pub fn sha256(&self) -> Option<String> {
        self.rollout.as_ref().map(|rollout| rollout.digest().to_hex())
    }

    /// Judges a request: decides, or returns the call to make first.
    ///
    /// Without a policy a new request waits for the first one; once it has waited, it is refused. The query for a sign of
    /// life is answered without one, too.
    pub fn judge<'a>(&'a self, entry: Entry, request: &Request<'a, '_>) -> Next<'a> {
        let decides_nothing = || self.rollout.as_ref().is_some_and(|rollout| rollout.decides_nothing());
        if is_live_query(request.head) && !decides_nothing() {
            return Next::Decide(Box::new(Decision::live()), None);
        }
        match &self.rollout {
            Some(rollout) => rollout.judge(entry, request),
            None => self.await_first_policy(&entry, request),
        }
    }

    /// Judges a request to its end. `fetch` makes each call, and returns its resolution and the time after it.
    pub fn decide<'a>(
        &'a self,
        request: &Request<'a, '_>,
        fetch: &mut dyn FnMut(Box<Fetch>) -> (Resolution, Moment),
    ) -> (Box<Decision<'a>>, Option<Background>) {
        let (mut entry, mut request) = (Entry::New, *request);
        loop {
            match self.judge(entry, &request) {
                Next::Decide(decision, background) => return (decision, background),
                Next::Fetch(call, ticket) => {
                    let (resolution, now) = fetch(call);
                    (entry, request.now) = (Entry::Resumed(ticket, resolution), now);
                }
            }
        }
    }

    /// Goes on with a judgement in the background. Returns its observations, and the next call that it needs; nothing
    /// where other policies began it.
    pub fn resume_background(
        &self,
        ticket: Ticket,
        resolution: Resolution,
        request: &Request<'_, '_>,
    ) -> (Vec<Observation>, Option<Background>) {
        let rollout = self.rollout.as_ref();
        match rollout.and_then(|rollout| rollout.resume_background(ticket, resolution, request)) {
            Some(Next::Decide(decision, background)) => (decision.follow_up.observations, background),
            Some(Next::Fetch(fetch, ticket)) => (Vec::new(), Some(Background { fetch, ticket })),
            None => (Vec::new(), None),
        }
    }

    /// Returns the decision where the host failed before the request could be judged: a refusal, unless no request is
    /// refused.
    pub fn host_failure(&self) -> Box<Decision<'_>> {
        match &self.rollout {
            Some(rollout) if rollout.decides_nothing() => rollout.undecided(),
            _ => Box::new(Decision::host_failure()),
        }
    }

    /// Tells whether a header of this name can carry a credential, in any spelling. Such a trailer is never forwarded;
    /// without a policy no trailer is.
    pub fn is_slot(&self, name: &[u8]) -> bool {
        self.rollout.as_ref().is_none_or(|rollout| rollout.is_slot(name))
    }

    /// Tells whether access logs get the values of a request: its caller, the provider, the reason and what it took.
    pub fn tells_access_log(&self) -> bool {
        self.rollout.as_ref().is_none_or(|rollout| rollout.tells_access_log())
    }

    /// Takes from the decision the part that belongs to the exchange with the upstream, which now begins.
    pub fn exchange(&self, decision: &mut Decision<'_>) -> Exchange {
        Exchange::new(self.rollout.as_ref(), decision)
    }

    /// Looks again at the caller of an exchange, which may be another policy's. Returns the observation of its end, where
    /// the host has to end it, and the calls that the look gives rise to.
    pub fn look_again(
        &self,
        exchange: &Exchange,
        now: Moment,
        store: &dyn Store,
    ) -> (Option<Observation>, Vec<Fetch>) {
        match (&self.rollout, exchange.admitted()) {
            (Some(rollout), Some(admitted)) => rollout.look_again(admitted, now, store),
            _ => (None, Vec::new()),
        }
    }

    fn await_first_policy<'a>(&'a self, entry: &Entry, request: &Request<'a, '_>) -> Next<'a> {
        let first = match entry {
            Entry::New => self.bundles.and_then(|bundles| bundles.first(request.now)),
            Entry::Resumed(..) => None,
        };
        match first {
            Some(fetch) => Next::Fetch(Box::new(fetch), Ticket::for_first_policy()),
            None => Next::Decide(Box::new(Decision::no_policy()), None),
        }
    }
}
