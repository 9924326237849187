//! The exchange with an upstream that a forwarded request begins.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use super::rollout::Rollout;
use crate::answer::{LocalReply, ResponseHeaders};
use crate::base::Moment;
use crate::host::Store;
use crate::judge::{Admitted, AnswerHead, Decision, Observation, Pending, Refusal, Sent, Slice};
use crate::upstream::{MAX_MINTED_BYTES, MintFault, Minting};

/// A slice of a request's body that may go on.
#[derive(Debug, Default)]
pub struct RequestSlice {
    /// The bytes in its place; `None` where it goes on as it is.
    pub bytes: Option<Vec<u8>>,
    /// The observation of the request, once its body has passed.
    pub observation: Option<Observation>,
}

/// A forwarded request whose answer is still to come. An exchange does not keep its policies in force.
#[derive(Default)]
pub struct Exchange {
    rollout: Weak<Rollout>,
    sent: Cell<Sent>,
    response: ResponseHeaders,
    minting: Option<Box<Minting>>,
    /// The judge of the request's body, until it holds.
    pending: Option<Box<Pending>>,
    /// The caller, where the exchange ends with its right.
    admitted: Option<Box<Admitted>>,
}

impl Exchange {
    /// The longest body of a brokered answer that is read, in bytes.
    pub const MAX_BROKERED_BYTES: usize = MAX_MINTED_BYTES;

    /// Takes from the decision the part that belongs to the exchange.
    pub(super) fn new(rollout: Option<&Rc<Rollout>>, decision: &mut Decision<'_>) -> Self {
        Self {
            rollout: rollout.map(Rc::downgrade).unwrap_or_default(),
            sent: Cell::new(std::mem::take(&mut decision.follow_up.sent)),
            response: std::mem::take(&mut decision.response),
            minting: decision.follow_up.minting.take(),
            pending: decision.follow_up.pending.take(),
            admitted: decision.follow_up.admitted.take(),
        }
    }

    /// Tells whether the exchange ends when its caller loses the right to it: see [`InForce::look_again`].
    ///
    /// [`InForce::look_again`]: super::InForce::look_again
    pub fn may_end(&self) -> bool {
        self.admitted.is_some()
    }

    pub(super) fn admitted(&self) -> Option<&Admitted> {
        self.admitted.as_deref()
    }

    /// Tells whether the body of the request is judged: each slice of it goes through [`Exchange::request_body`].
    pub fn judges_request(&self) -> bool {
        self.pending.is_some()
    }

    /// Judges the next slice of the request's body. `is_last` says that nothing follows it; then the exchange tells what
    /// became of the request.
    ///
    /// # Errors
    /// The refusal of the request. Nothing of this slice may go on, and nothing after it.
    pub fn request_body(&mut self, slice: &[u8], is_last: bool) -> Result<RequestSlice, Box<Refusal>> {
        let Some(pending) = &mut self.pending else { return Ok(RequestSlice::default()) };
        let judged = pending.take(slice, is_last, &self.response)?;
        let observation = is_last.then(|| pending.allowed());
        if is_last {
            self.pending = None;
        }
        let bytes = match judged {
            Slice::Same => None,
            Slice::Other(bytes) => Some(bytes),
        };
        Ok(RequestSlice { bytes, observation })
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

    /// Tells whether the request mints, so that its answer may be held back.
    pub fn is_minting(&self) -> bool {
        self.minting.is_some()
    }

    /// Tells whether the body of an answer is held back, and what [`Exchange::broker`] returns goes out in its place. `None`
    /// is a status that cannot be read. What the host answers itself passes, unless it is a success.
    pub fn holds(&self, status: Option<u16>, is_of_upstream: bool) -> bool {
        self.is_minting() && (is_of_upstream || status.is_none_or(|status| matches!(status, 200..=299)))
    }

    /// Returns the body that goes out in place of a brokered answer's.
    ///
    /// # Errors
    /// The reason why nothing of the answer may go out. Then the caller gets [`Exchange::withheld`].
    pub fn broker(&self, status: u16, body: &[u8], now: Moment) -> Result<String, MintFault> {
        let minting = self.minting.as_ref().ok_or(MintFault::NoSecret)?;
        minting.replace(status, body, now.unix())
    }

    /// Returns the reply in place of an answer that cannot be brokered.
    pub fn withheld(&self) -> LocalReply {
        LocalReply::not_brokered(502).with(&self.response)
    }
}
