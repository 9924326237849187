//! The plugin: one policy per VM, compiled when Envoy configures it.
//!
//! A policy that does not hold is refused as a whole, and Envoy with it refuses the configuration.

use std::rc::Rc;

use keyswap_core::{Engine, Policy, PolicyErrors};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::environment::HostEnvironment;
use crate::host;
use crate::metrics::Metrics;
use crate::stream::Stream;

/// What all streams of a worker share.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) metrics: Metrics,
}

/// The root context.
#[derive(Default)]
pub(crate) struct Plugin {
    /// `None` until a policy was accepted: streams that come before are refused.
    shared: Option<Rc<Shared>>,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_configure(&mut self, _size: usize) -> bool {
        match compile() {
            Ok(engine) => {
                self.shared = Some(Rc::new(Shared { engine, metrics: Metrics::default() }));
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

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { shared: self.shared.clone() }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn compile() -> Result<Engine, PolicyErrors> {
    Engine::new(Policy::from_json(&host::plugin_configuration())?, &HostEnvironment)
}
