//! A running set-up, with its requests and its proof.

use std::{rc::Rc, sync::Arc};

use anyhow::Result;

use super::host::Host;
use crate::bench::{load::Requests, stage::Stage};

/// A running set-up.
pub struct Running {
    pub(in crate::bench) host: Rc<dyn Host>,
    pub(in crate::bench) requests: Arc<Requests>,
    proof: Proof,
}

/// A check that a set-up works as described.
type Proof = Box<dyn Fn(&Stage) -> Result<()>>;

impl Running {
    /// Returns a set-up on this host. Values that the proof owns live as long as the set-up.
    pub(super) fn new(
        host: Rc<dyn Host>,
        requests: Arc<Requests>,
        proof: impl Fn(&Stage) -> Result<()> + 'static,
    ) -> Self {
        Self { host, requests, proof: Box::new(proof) }
    }

    /// Checks that the set-up works as described.
    pub fn prove(&self, stage: &Stage) -> Result<()> {
        (self.proof)(stage)
    }
}
