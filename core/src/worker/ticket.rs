//! Entries into judgement: new requests, and tickets of those that waited.

use std::rc::{Rc, Weak};

use crate::judge::{Outcome, Suspended};
use crate::services::Resolution;

/// The way in which a request comes to be judged.
pub enum Entry {
    /// It is new.
    New,
    /// The fetch that it waited for is done.
    Resumed(Ticket, Resolution),
}

/// The place at which a judgement goes on. It holds nothing of the head, so the host must keep that, or read it again.
///
/// A ticket that other policies issued begins anew: a request is judged by the policies in force when it goes on.
pub struct Ticket(Option<Box<Issued>>);

struct Issued {
    by: Weak<Issuer>,
    stage: Stage,
}

/// The identity of the policies that issue tickets. While a ticket is there, no other issuer has its address.
pub(super) struct Issuer;

/// The engine that a judgement goes on in.
pub(super) enum Stage {
    Stable(Suspended),
    Candidate(Suspended, Comparison),
}

/// A request that the stable policy has judged, and the candidate judges.
pub(super) struct Comparison {
    pub(super) stable: Outcome,
    /// True if the candidate's decision is the one that is carried out.
    pub(super) candidate_decides: bool,
}

impl Ticket {
    /// The ticket of a request that waits for the first policy.
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
