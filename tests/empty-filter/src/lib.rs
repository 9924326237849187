//! An empty proxy-wasm filter, made with the SDK: its cost is the minimum of any filter.
//!
//! It lets every request pass. `cargo xtask bench` compares Keyswap with it.

#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "nobody links to a Wasm module, and the SDK adds an undocumented export")]

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {}

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}
