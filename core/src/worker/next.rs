//! The next step of a host with a request.

use super::ticket::Ticket;
use crate::judge::Decision;
use crate::services::Fetch;

/// The next step of a host with a request.
#[must_use]
pub enum Next<'a> {
    /// Carry out the decision. A judgement may go on in the background.
    Decide(Box<Decision<'a>>, Option<Background>),
    /// Make the call, and come back with the ticket. Requests that want the same key share one call.
    Fetch(Box<Fetch>, Ticket),
}

/// A judgement in the background: no request waits for it, and it yields observations only. The host goes on with it by
/// [`InForce::resume_background`](super::InForce::resume_background), whatever has become of the request by then.
pub struct Background {
    /// The call that it needs.
    pub fetch: Box<Fetch>,
    /// The ticket to come back with.
    pub ticket: Ticket,
}
