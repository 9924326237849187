//! Entries into judgement: new requests, and tickets of those that waited.

use std::rc::{Rc, Weak};

use super::rollout::{Rollout, Stage};
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
    rollout: Weak<Rollout>,
    stage: Stage,
}

impl Ticket {
    /// The ticket of a request that waits for the first policy.
    pub(super) const fn for_first_policy() -> Self {
        Self(None)
    }

    pub(super) fn new(rollout: &Rc<Rollout>, stage: Stage) -> Self {
        Self(Some(Box::new(Issued { rollout: Rc::downgrade(rollout), stage })))
    }

    /// Returns the stage at which these policies go on; `None` where others issued the ticket.
    pub(super) fn stage(self, rollout: &Rc<Rollout>) -> Option<Stage> {
        let Issued { rollout: issuer, stage } = *self.0?;
        std::ptr::eq(issuer.as_ptr(), Rc::as_ptr(rollout)).then_some(stage)
    }
}
