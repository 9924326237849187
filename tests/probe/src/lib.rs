//! A filter that shows Keyswap's values in Envoy's shared data, which any plugin of the same `vm_id` can read. Tests
//! search them for secrets. It answers `GET /shared-data` and lets all other requests pass.

#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "nobody links to a Wasm module, and the SDK adds an undocumented export")]

use keyswap_core::host::{EMPTY_SLOT, slot_keys};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Probe));
}}

struct Probe;

impl Context for Probe {}

impl RootContext for Probe {
    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Self))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Probe {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if self.get_http_request_header_bytes(":path").as_deref() != Some(b"/shared-data") {
            return Action::Continue;
        }
        let mut values = Vec::new();
        for key in slot_keys() {
            if let Ok((Some(value), _)) = hostcalls::get_shared_data(&key)
                && value != EMPTY_SLOT
            {
                values.extend_from_slice(key.as_bytes());
                values.push(b' ');
                values.extend_from_slice(&value);
                values.push(b'\n');
            }
        }
        self.send_http_response(200, Vec::new(), Some(&values));
        Action::Pause
    }
}
