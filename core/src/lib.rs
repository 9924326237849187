//! The Keyswap policy engine.
//!
//! It is handed the head of a request and the time, and answers with a [`Decision`]: forward the request
//! rewritten, with the caller's credential removed and the real one in its place, or reply in its stead.
//!
//! It does no I/O, reads no clock and draws no randomness; whoever hosts it (Envoy, a command line, a test)
//! hands those in. So every host decides alike, and every decision can be replayed.
//!
//! The way through it is [`Policy::from_json`] → [`Engine::new`] → [`Engine::decide`].

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod ascii;
mod credential;
mod decision;
mod engine;
mod fault;
mod grant;
mod head;
mod identity_slot;
mod json;
pub mod jwt;
mod log;
mod metadata;
mod path;
mod policy;
mod protected;
mod provider;
mod query;
mod reason;
mod reply;
mod rewrite;
mod route;
mod secret;
mod slot;
mod subprotocol;
mod text;
mod time;
mod token;
mod upstream;
mod url;

pub use decision::{Check, Decision, Stage, Verdict};
pub use engine::Engine;
pub use fault::Fault;
pub use head::{Header, RequestHead};
pub use identity_slot::{IdentityCredential, IdentitySlot, find_identity};
pub use path::PathFault;
pub use policy::{Policy, PolicyError, PolicyErrors};
pub use provider::Dialect;
pub use reason::Reason;
pub use reply::LocalReply;
pub use rewrite::Rewrite;
pub use route::RoutedBy;
pub use secret::{Environment, Secret, SecretFault};
pub use slot::Slot;
pub use time::UnixTime;
pub use token::{Principal, TokenDigest, TokenRecord, TokenStatus};
