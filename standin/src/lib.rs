//! The stand-in: one HTTPS server that takes the place of the gateway and of every provider.
//!
//! It records requests and raw bytes, and answers in the formats of the services. It has its own threads, so a test may
//! block while it answers. `keyswap up` runs it where it has no real upstream, and the tests run it in every case.

#![forbid(unsafe_code)]

mod certificate;

mod received;

mod refusal;

mod greeting;

mod conversation;

mod answer;

mod anthropic;
mod gemini;
mod openai;
mod upload;
mod websocket;

mod services;

mod server;

mod standin;

pub use received::Received;
pub use refusal::Refusal;
pub use standin::{Hold, Standin, UPSTREAM_HOSTS};
