//! The testbed: an Envoy with the filter, and a stand-in for the gateway and the providers behind it.
//!
//! ```no_run
//! use keyswap_tests::{Envoy, Request, Standin};
//! use serde_json::json;
//!
//! # fn main() -> anyhow::Result<()> {
//! let policy = json!({"version": "keyswap/v1"});
//! let standin = Standin::start()?;
//! let envoy = Envoy::with(&policy).env("OPENAI_API_KEY", "sk-real").upstream(&standin).start()?;
//!
//! let chat = json!({"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}]});
//! let answer = envoy.send(&Request::post("/v1/chat/completions", &chat).bearer("ptk_token"))?;
//! assert_eq!(answer.status, 200);
//! assert_eq!(standin.received()[0].header("authorization"), Some("Bearer sk-real"));
//! # Ok(())
//! # }
//! ```
//!
//! - [`Standin`] is one HTTPS server for all upstreams. It records every request and every byte, and answers in the
//!   formats of the services. A stream can be held after its first text.
//! - [`Envoy`] runs `envoy/bootstrap.yaml`, the file that users copy, with the filter built from this repository.
//! - [`Scripted`] is a plain HTTP server with scripted answers, also faulty ones: a registry, for example.
//! - [`Shelf`] is an upstream that keeps objects under ids, as the providers do.
//! - [`Issuer`] publishes keys like an identity provider, and a [`SigningKey`] signs valid and invalid tokens.
//! - [`Registry`] is `keyswap serve` with a temporary database.
//! - [`Request`] is sent byte for byte, so tests can send requests that no HTTP library would.
//!
//! The interface is synchronous. The stand-in has its own threads, so a test may wait for an SDK in a child process.
//! All servers listen on free loopback ports and end when their values are dropped.

pub mod agents;
mod artefacts;
mod authority;
#[cfg(target_os = "linux")]
pub mod bench;
mod bootstrap;
mod builds;
pub mod cases;
pub mod clients;
mod desk;
pub mod docs;
mod embedding;
mod envoy;
pub mod exchange;
pub mod faults;
pub mod figures;
pub mod hardening;
pub mod helm;
mod http;
mod http2;
mod interfaces;
mod issuer;
pub mod litellm;
mod load;
mod meter;
mod mutual_tls;
mod oci_registry;
mod oidc;
pub mod packages;
pub mod promises;
mod ratelimit;
mod registry;
pub mod releases;
pub mod rendered;
pub mod scanning;
mod scripted;
mod server;
mod shelf;
mod sign_in;
mod testbed;
pub mod tools;
mod traps;
mod waiting;
mod wash;
pub mod wasm_opt;
mod wasmtime;
mod zig;

pub use artefacts::{Artefact, artefacts};
pub use authority::{Authority, Pair};
pub use bootstrap::Bootstrap;
pub use builds::{
    AUTHORIZER, Build, COMPONENT, FILTER, KEYSWAP, MODULE, PASSTHROUGH, PROBE, RUST_EXAMPLE, build,
    build_module, build_workspace,
};
pub use desk::Desk;
pub use embedding::{Embedding, Gate, asgi_scopes};
pub use envoy::{Envoy, NATIVE, Setup};
pub use http::{Answer, Request, Response, open, send};
pub use http2::{Leave, Slices};
pub use interfaces::Interfaces;
pub use issuer::{Issuer, SigningKey, base64url, unix_now, with};
pub use keyswap_standin::{Hold, Received, Refusal, Standin, UPSTREAM_HOSTS};
pub use load::{Load, under_load};
pub use meter::Meter;
pub use mutual_tls::{TlsClient, TlsConnection};
pub use oci_registry::OciRegistry;
pub use oidc::OidcProvider;
pub use ratelimit::RateLimitService;
pub use registry::{Registry, RegistrySetup};
pub use scripted::{Call, Script, Scripted, WITH_TRAILERS};
pub use server::Server;
pub use shelf::{KINDS, Kind, Shelf, Told};
pub use sign_in::SignIns;
pub use testbed::{TOKEN, Testbed};
pub use traps::trapping;
pub use waiting::{until, until_within};
pub use wash::Wash;
pub use wasmtime::{FLAGS as WASMTIME_FLAGS, PREPARE, Wasmtime, WasmtimeSetup, prepare};
pub use zig::{GLIBC, build_native, check_native};
