//! The Keyswap policy engine.
//!
//! The engine takes the head of a request and the time, and returns a [`Decision`](judge::Decision). The request is
//! forwarded, with the real credential in place of the caller's, or a reply is given in its stead.
//!
//! The engine does no I/O, reads no clock and draws no randomness; its host (Envoy, a command, a test) hands those in.
//! So every host decides alike, and every decision can be replayed.
//!
//! A host calls [`Worker::start`](worker::Worker::start), [`Worker::in_force`](worker::Worker::in_force) and
//! [`InForce::judge`](worker::InForce::judge). Judging returns the decision, or a fetch to make first and a ticket to
//! go on with.
//!
//! ```
//! use keyswap_core::base::{Digest, Moment};
//! use keyswap_core::host::{Capabilities, Environment, MemoryStore};
//! use keyswap_core::identity::jwt::PureRust;
//! use keyswap_core::judge::{Request, Verdict};
//! use keyswap_core::request::{Header, RequestHead};
//! use keyswap_core::worker::{Entry, Next, Worker};
//!
//! /// The variables that a policy names.
//! struct Variables;
//!
//! impl Environment for Variables {
//!     fn variable(&self, name: &str) -> Option<Vec<u8>> {
//!         (name == "OPENAI_API_KEY").then(|| b"sk-the-real-key".to_vec())
//!     }
//! }
//!
//! let policy = serde_json::json!({
//!     "version": "keyswap/v1",
//!     "tokens": [{"sha256": Digest::of(b"ptk_alice").to_hex(), "label": "alice", "providers": ["openai"]}],
//!     "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
//! });
//! let policy = policy.to_string();
//! let host = Capabilities::COMPONENT;
//! let worker = Worker::start(policy.as_bytes(), Box::new(Variables), Box::new(PureRust), host, "example")
//!     .expect("the policy holds");
//!
//! let head = RequestHead {
//!     method: b"POST",
//!     path: b"/v1/chat/completions",
//!     scheme: b"https",
//!     authority: b"",
//!     headers: &[Header { name: b"authorization", value: b"Bearer ptk_alice" }],
//!     peer: || None,
//!     certificate: &|_| None,
//! };
//! let store = MemoryStore::default();
//! let now = Moment(1_800_000_000_000_000_000); // The host's clock, in nanoseconds since 1970.
//! let (in_force, request) = (worker.in_force(&store), Request { head: &head, now, store: &store });
//! let Next::Decide(decision, _) = in_force.judge(Entry::New, &request) else {
//!     unreachable!("this policy asks no service");
//! };
//! let Verdict::Forward(rewrite) = decision.verdict else { panic!("alice may call OpenAI") };
//! assert_eq!((rewrite.https, rewrite.authority), (true, "api.openai.com"));
//! assert!(rewrite.fields(&head).any(|line| line == (&b"authorization"[..], &b"Bearer sk-the-real-key"[..])));
//! ```

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

// The floors, ground up: a module imports from those above it in this list, never from those below it.

pub mod base;

pub mod price;

pub mod syntax;

pub mod host;

pub mod request;

pub mod secret;

pub mod limit;

pub mod identity;

pub mod provider;

pub mod body;

pub mod answer;

pub mod policy;

pub mod services;

mod upstream;

pub mod judge;

pub mod worker;
