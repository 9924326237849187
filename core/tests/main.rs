//! Tests of the engine by its public interface, in one program: linking one for each file takes minutes.

mod bindings;
mod body_answers;
mod body_events;
mod body_follower;
mod body_forms;
mod body_frames;
mod body_lists;
mod body_request;
mod broker;
mod bundle_claims;
mod bundles;
mod client_certificates;
mod credential_files;
mod exchange;
mod exchange_chains;
mod four_eyes;
#[path = "../../fuzz/src/lib.rs"]
#[allow(dead_code, missing_docs, unreachable_pub, reason = "this is a library of its own, too")]
mod fuzz;
mod fuzzed;
mod hosts;
mod identities;
mod issuer_rules;
mod issuers;
mod jws_vectors;
mod jwt_attacks;
mod jwt_chain;
mod lints;
mod metering;
mod origins;
mod other_hosts;
mod outline;
mod plaintext;
mod policy_budgets;
mod policy_gateways;
mod policy_issuers;
mod preset_policies;
mod presets;
mod reference;
mod registry;
mod replay;
mod replay_models;
mod revocation;
mod rollout;
mod sessions;
mod signals;
mod signed_records;
mod status;
mod support;
mod token_limits;
mod tokens_again;
mod upstream_credentials;
mod verdicts;
mod watched_bodies;
#[path = "support/wire.rs"]
mod wire;
