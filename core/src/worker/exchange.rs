//! The exchange with an upstream that a forwarded request begins.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use super::rollout::Rollout;
use crate::answer::ResponseHeaders;
use crate::base::Moment;
use crate::host::Store;
use crate::judge::{AnswerHead, Sent};

/// A forwarded request whose answer is still to come. An exchange does not keep its policies in force.
#[derive(Default)]
pub struct Exchange {
    rollout: Weak<Rollout>,
    sent: Cell<Sent>,
    response: ResponseHeaders,
}

impl Exchange {
    pub(super) fn new(rollout: Option<&Rc<Rollout>>, sent: Sent, response: ResponseHeaders) -> Self {
        Self { rollout: rollout.map(Rc::downgrade).unwrap_or_default(), sent: Cell::new(sent), response }
    }

    /// Returns the changes to the answer.
    pub fn response(&self) -> &ResponseHeaders {
        &self.response
    }

    /// Tells whether a header of this name can carry a credential, in any spelling; `None` where the policies of the
    /// exchange are gone.
    pub fn is_slot(&self, name: &[u8]) -> Option<bool> {
        self.rollout.upgrade().map(|rollout| rollout.is_slot(name))
    }

    /// Tells whether the answer teaches something.
    pub fn has_to_learn(&self) -> bool {
        !self.sent.get().is_nothing()
    }

    /// Learns from the answer, once: that the token was used, and whether the keys work. Policies that are gone have
    /// nothing to learn.
    pub fn answered(&self, answer: &dyn AnswerHead, now: Moment, store: &dyn Store) {
        let sent = self.sent.take();
        if let Some(rollout) = self.rollout.upgrade() {
            rollout.learn(sent, answer, now, store);
        }
    }
}
