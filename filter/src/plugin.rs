//! The plugin: the worker of a VM, made when Envoy configures it, and the calls that its requests need.
//!
//! A configuration with errors is refused as a whole, and Envoy with it refuses its own.

use std::rc::Rc;

use keyswap_core::host::Capabilities;
use keyswap_core::policy::PolicyErrors;
use keyswap_core::worker::Worker;
use keyswap_streams::{Shared, Stream, answered, work};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

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
}

impl Context for Plugin {
    fn on_http_call_response(&mut self, number: u32, headers: usize, body: usize, _trailers: usize) {
        let Some(shared) = &self.shared else { return };
        let response = host::call_response(headers, body);
        let response = response.as_ref().map(|(status, body)| (*status, body.as_slice()));
        answered(shared, number.into(), &response.into());
    }
}

impl RootContext for Plugin {
    fn on_configure(&mut self, _size: usize) -> bool {
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

    fn on_tick(&mut self) {
        if let Some(shared) = &self.shared {
            work(shared);
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request(Stream::new(id, self.shared.clone()))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// The context of a stream.
struct Request(Stream<Envoy>);

const fn action(action: keyswap_streams::Action) -> Action {
    match action {
        keyswap_streams::Action::Continue => Action::Continue,
        keyswap_streams::Action::Pause => Action::Pause,
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, count: usize, end_of_stream: bool) -> Action {
        action(self.0.request_headers(count, end_of_stream))
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        action(self.0.request_body(size, end_of_stream))
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        action(self.0.request_trailers(count))
    }

    fn on_http_response_headers(&mut self, count: usize, end_of_stream: bool) -> Action {
        action(self.0.response_headers(count, end_of_stream))
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        action(self.0.response_body(size, end_of_stream))
    }

    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        action(self.0.response_trailers(count))
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
