//! Entries into judgement: new requests, and tickets of those that waited.

use std::rc::{Rc, Weak};

use crate::identity::Principal;
use crate::judge::{Outcome, RequestJudge, Suspended};
use crate::services::Resolution;

/// The way in which a request enters judgement.
pub enum Entry {
    /// The request is new.
    New,
    /// The fetch that the request waited for is done.
    Resumed(Ticket, Resolution),
}

/// The place at which a judgement goes on. A ticket holds nothing of the head but a model that its target names, so the
/// host keeps the head or reads it again.
///
/// A ticket that other policies issued begins anew: a request is judged by the policies in force when it goes on.
pub struct Ticket(Option<Box<Issued>>);

struct Issued {
    by: Weak<Issuer>,
    stage: Stage,
}

/// The identity of the policies that issue tickets. While a ticket refers to one, no other issuer has its address.
pub(super) struct Issuer;

/// The engine that a judgement goes on in.
pub(super) enum Stage {
    Stable(Suspended),
    Candidate(Suspended, Comparison),
}

/// A request that the stable policy has judged, and the candidate judges.
pub(super) struct Comparison {
    pub(super) stable: Outcome,
    /// The judge of the body under the stable policy, while nothing of the request has gone on.
    pub(super) judge: Option<Box<RequestJudge>>,
    /// The principal, as the stable policy knows it.
    pub(super) principal: Option<Principal>,
    /// Set where the candidate's decision is carried out.
    pub(super) candidate_decides: bool,
}

impl Ticket {
    /// Returns the ticket of a request that waits for the first policy.
    pub(super) const fn for_first_policy() -> Self {
        Self(None)
    }

    pub(super) fn new(by: &Rc<Issuer>, stage: Stage) -> Self {
        Self(Some(Box::new(Issued { by: Rc::downgrade(by), stage })))
    }

    /// Returns the stage at which an issuer goes on; `None` where another one issued the ticket.
    pub(super) fn stage(self, issuer: &Rc<Issuer>) -> Option<Stage> {
        let Issued { by, stage } = *self.0?;
        std::ptr::eq(by.as_ptr(), Rc::as_ptr(issuer)).then_some(stage)
    }
}
