//! A set-up that runs, with its requests and the proof that it works.

use std::{rc::Rc, sync::Arc};

use anyhow::Result;

use super::host::Host;
use crate::bench::{load::Requests, stage::Stage};

/// A set-up that runs.
pub struct Running {
    pub(in crate::bench) host: Rc<dyn Host>,
    pub(in crate::bench) requests: Arc<Requests>,
    proof: Proof,
}

/// A check that fails where a set-up does not do what it is said to do.
type Proof = Box<dyn Fn(&Stage) -> Result<()>>;

impl Running {
    /// Returns a set-up on this host. What the proof holds ends with it.
    pub(super) fn new(
        host: Rc<dyn Host>,
        requests: Arc<Requests>,
        proof: impl Fn(&Stage) -> Result<()> + 'static,
    ) -> Self {
        Self { host, requests, proof: Box::new(proof) }
    }

    /// Fails where it does not do what it is said to do.
    pub fn prove(&self, stage: &Stage) -> Result<()> {
        (self.proof)(stage)
    }
}
