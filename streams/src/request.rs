//! A request, as far as it is kept while it waits, and while its answer is still to come.

use std::cell::{Cell, RefCell};

use keyswap_core::judge::Decision;
use keyswap_core::services::{FetchKey, Resolution};
use keyswap_core::worker::{Exchange, Ticket};

use crate::host::Host;

/// A request of a stream.
pub struct Request<H: Host> {
    /// The name of its stream.
    pub name: H::Name,
    /// The number of its headers, as the host announced them.
    pub(crate) count: Cell<usize>,
    /// The fetch that it waits for.
    pub(crate) waits_for: RefCell<Option<FetchKey>>,
    /// The work that is due when it is woken.
    pub(crate) turn: Cell<Turn>,
    /// The exchange with the upstream, once it was forwarded.
    pub(crate) exchange: RefCell<Exchange>,
    /// Set once the head goes on. Until then nothing of the body does.
    pub(crate) goes_on: Cell<bool>,
    /// Set where the whole body came while the head waited.
    pub(crate) is_whole: Cell<bool>,
    /// Set where bytes of the body are held and judged already.
    pub(crate) is_held: Cell<bool>,
    /// Set once a part of the body has gone on.
    pub(crate) has_begun: Cell<bool>,
    /// Set where bytes of the answer's body are held and read already.
    pub(crate) is_answer_held: Cell<bool>,
    /// Set where the part of the answer that was read last is the last of all.
    pub(crate) answer_is_last: Cell<bool>,
    /// Set where a body follows the head.
    pub(crate) has_body: Cell<bool>,
    /// Set where access logs get the values of the request.
    pub(crate) is_told: Cell<bool>,
    /// Set where the request passes as if Keyswap were not there.
    pub(crate) is_passed: Cell<bool>,
}

/// The work that is due when a request is woken.
#[derive(Default)]
pub(crate) enum Turn {
    /// None.
    #[default]
    None,
    /// Its head is judged again.
    Head(Ticket, Resolution),
    /// Its body is judged again.
    Body,
    /// The body of its answer is read again.
    Answer,
    /// It ends, because its caller has lost the right to it.
    End,
    /// It fails, because the worker that it waited for is gone.
    Fail,
}

impl<H: Host> Request<H> {
    pub(crate) fn new(name: H::Name) -> Self {
        Self {
            name,
            count: Cell::default(),
            waits_for: RefCell::default(),
            turn: Cell::default(),
            exchange: RefCell::default(),
            goes_on: Cell::default(),
            is_whole: Cell::default(),
            is_held: Cell::default(),
            has_begun: Cell::default(),
            is_answer_held: Cell::default(),
            answer_is_last: Cell::default(),
            has_body: Cell::default(),
            is_told: Cell::default(),
            is_passed: Cell::default(),
        }
    }

    /// Sets a value for access logs, where the policy has them get any.
    pub(crate) fn tell(&self, name: &str, value: &str) {
        if self.is_told.get() {
            H::tell(name, value.as_bytes());
        }
    }

    /// Tells access logs the principal and the outcome of the request.
    pub(crate) fn publish(&self, decision: &Decision<'_>) {
        if !self.is_told.get() {
            return;
        }
        self.tell("keyswap_provider", decision.facts.provider);
        self.tell("keyswap_reason", decision.reason_code());
        if let Some(principal) = &decision.facts.principal {
            self.tell("keyswap_principal", &principal.id());
            self.tell("keyswap_label", principal.label());
            if let Some(team) = principal.team() {
                self.tell("keyswap_team", team);
            }
        }
    }

    /// Returns a number that no other request has while this one lives.
    pub(crate) fn place(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}
