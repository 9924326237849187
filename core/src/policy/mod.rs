//! The policy document: read once, checked whole, and from then on only meaning, no syntax.
//!
//! Everything that can be wrong with a document is reported at once ([`PolicyErrors`]). Defaults are the strict choice.

mod answers;
mod assembly;
mod bindings;
mod broker;
mod budgets;
mod bundle;
mod cors;
mod credentials;
mod document;
mod duration;
mod endpoints;
mod error;
mod findings;
mod fits;
mod gateway;
mod host_keys;
mod hosts;
mod issuer_rules;
mod issuers;
mod keys;
mod limits_outline;
mod lint;
mod literal;
mod metered;
mod models;
mod outline;
mod places;
mod plaintext;
mod preset;
mod prices;
mod providers;
mod rate_limit;
mod reader;
mod registry;
mod resource;
mod rollout;
mod shadow;
mod sharing;
mod status;
mod tokens;

pub(crate) use self::broker::BrokerPolicy;
pub(crate) use self::budgets::{MeteringPolicy, WhenLeft};
pub use self::bundle::{BundleSource, Configuration};
pub(crate) use self::credentials::{CredentialPolicy, Expiry, HttpSource, Source};
pub use self::document::Policy;
pub(crate) use self::duration::parse as duration;
pub use self::error::{PolicyError, PolicyErrors};
pub(crate) use self::gateway::Gateway;
pub use self::lint::{Finding, Lint};
pub use self::places::Callout;
pub(crate) use self::registry::{Protocol, RegistryPolicy};
pub(crate) use self::rollout::Fallback;
pub use self::rollout::{CandidatePolicy, RolloutPolicy};
pub(crate) use self::status::StatusPolicy;
