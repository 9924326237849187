//! The plugin: the worker of a VM, made when Envoy configures it, and the calls that its requests need.
//!
//! A configuration with errors is refused as a whole, and Envoy with it refuses its own.

use std::rc::Rc;

use keyswap_core::host::Capabilities;
use keyswap_core::policy::PolicyErrors;
use keyswap_core::worker::Worker;
use keyswap_streams::{Shared, answered, work};

use crate::environment::HostEnvironment;
use crate::envoy::Envoy;
use crate::host;
use crate::store::seed;
use crate::verifier::EnvoyVerifier;

/// The root context.
pub(crate) struct Plugin {
    id: u32,
    /// `None` until a policy was accepted: streams that come before are refused.
    shared: Option<Rc<Shared<Envoy>>>,
}

impl Plugin {
    pub(crate) fn new(id: u32) -> Self {
        Self { id, shared: None }
    }

    /// Returns what the streams of the worker share.
    pub(crate) fn shared(&self) -> Option<Rc<Shared<Envoy>>> {
        self.shared.clone()
    }

    /// Takes the configuration that the host has now. Returns false where the host is to refuse it.
    pub(crate) fn configure(&mut self) -> bool {
        match compile() {
            Ok(worker) => {
                if let Err(error) = seed() {
                    log::error!("the shared data cannot be prepared: {error}");
                    return false;
                }
                self.shared = Some(Rc::new(Shared::new(worker, Envoy::new(self.id))));
                true
            }
            Err(errors) => {
                for error in &errors.0 {
                    log::error!("{error}");
                }
                log::error!(
                    "the policy has {} error(s); `keyswap policy check` shows the same",
                    errors.0.len()
                );
                false
            }
        }
    }

    /// Does what is due.
    pub(crate) fn work(&self) {
        if let Some(shared) = &self.shared {
            work(shared);
        }
    }

    /// Takes the answer to a call: the number of its header lines, and the size of its body.
    pub(crate) fn answered(&self, number: u32, headers: usize, body: usize) {
        let Some(shared) = &self.shared else { return };
        let response = host::call_response(headers, body);
        let response = response.as_ref().map(|(status, body)| (*status, body.as_slice()));
        answered(shared, number.into(), &response.into());
    }
}

fn compile() -> Result<Worker, PolicyErrors> {
    let (configuration, name) = (host::plugin_configuration(), host::node_id());
    Worker::start(
        &configuration,
        Box::new(HostEnvironment),
        Box::new(EnvoyVerifier),
        Capabilities::ENVOY,
        &name,
    )
}
