//! The Keyswap policy engine.
//!
//! It is handed the head of a request and the time, and answers with a [`Decision`]: forward the request
//! rewritten, with the caller's credential removed and the real one in its place, or reply in its stead.
//!
//! It does no I/O, reads no clock and draws no randomness; whoever hosts it (Envoy, a command line, a test)
//! hands those in. So every host decides alike, and every decision can be replayed.
//!
//! The way through it is [`Policy::from_json`] → [`Engine::new`] → [`Engine::begin`], and [`Engine::resume`] where that
//! asks for something to be fetched.

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
mod bundle;
mod cache;
mod cors;
mod credential;
mod decision;
mod engine;
mod fault;
mod fetch;
mod grant;
mod head;
mod host;
mod identity_slot;
mod json;
pub mod jwt;
mod keyring;
mod limit;
mod log;
mod message;
mod metadata;
mod path;
mod policy;
mod protected;
mod provider;
mod query;
mod reason;
mod registry;
mod reply;
mod resource;
mod rewrite;
mod rollout;
mod route;
mod secret;
mod sent;
mod services;
mod slot;
mod store;
mod subprotocol;
mod target;
mod text;
mod time;
mod token;
mod upstream;
mod url;
mod worker;

pub use bundle::{BUNDLE_TYPE, BundleFault, MAX_BUNDLE_BYTES, SignedBundle};
pub use decision::{Check, Decision, Passed, Stage, Verdict};
pub use engine::{Engine, Outlook, Pending, Recorded, Replayed, Step, Unjudged};
pub use fault::Fault;
pub use fetch::{Asked, Fetch, FetchAnswer, FetchKey, FetchOutcome, FetchRequest, MOST_FETCHED, Resolution};
pub use head::{Header, RequestHead};
pub use host::Capabilities;
pub use identity_slot::{IdentityCredential, IdentitySlot, find_identity};
pub use limit::{Gcra, RateLimit, Taken};
pub use message::{Field, has_content};
pub use path::PathFault;
pub use policy::{
    BundleSource, Callout, CandidatePolicy, Configuration, Finding, Lint, Policy, PolicyError, PolicyErrors,
    RolloutPolicy,
};
pub use provider::Dialect;
pub use reason::Reason;
pub use registry::Origin;
pub use reply::{LocalReply, ResponseHeader, ResponseHeaders, UpstreamFailure};
pub use rewrite::{FieldValue, Rewrite};
pub use rollout::{Aside, Judged, Next, Observation, Rollout, Waiting};
pub use route::RoutedBy;
pub use secret::{Environment, Secret, SecretFault};
pub use sent::{AnswerHead, Sent};
pub use services::{Accepted, Services};
pub use slot::Slot;
pub use store::{EMPTY_SLOT, Forgetful, MemoryStore, Store, StoreError, Update, keys};
pub use time::{Moment, UnixTime};
pub use token::{Principal, TokenDigest, TokenRecord, TokenStatus};
pub use upstream::OpenKey;
pub use worker::{Due, Worker};
