//! The next step of a host with a request.

use crate::judge::Decision;
use crate::services::Fetch;

/// The next step of a host with a request.
#[must_use]
#[allow(clippy::large_enum_variant, reason = "a decision is what it nearly always is")]
pub enum Next<'a, T> {
    /// Carry out the decision. A judgement may go on in the background.
    Decide(Decision<'a>, Option<Background<T>>),
    /// Make the call, and come back with the ticket. Requests that want the same key share one call.
    Fetch(Box<Fetch>, T),
}

/// A judgement that no request waits for, and that only tells something. It goes on with
/// [`InForce::resume_background`](super::InForce::resume_background), whatever has become of the request by then.
pub struct Background<T> {
    /// The call that it needs.
    pub fetch: Box<Fetch>,
    /// The ticket to come back with.
    pub ticket: T,
}

impl<'a, T> Next<'a, T> {
    /// Has another kind of ticket take the place of this one.
    pub(super) fn map<U>(self, ticket: impl Fn(T) -> U) -> Next<'a, U> {
        match self {
            Self::Fetch(fetch, at) => Next::Fetch(fetch, ticket(at)),
            Self::Decide(decision, background) => Next::Decide(
                decision,
                background.map(|Background { fetch, ticket: at }| Background { fetch, ticket: ticket(at) }),
            ),
        }
    }
}
