//! `keyswap policy import`: a policy from another gateway's configuration.
//!
//! Keys become digests at once: no key is written. Settings without a counterpart are noted. A key that such a setting
//! restricts is imported as disabled, so that it never permits more than before. A key is bound only to the host that the
//! configuration names for it.
mod ai_gateway;
mod ai_gateway_backends;
mod ai_gateway_routes;
mod api_key;
mod api_key_auth;
mod api_key_lists;
mod api_key_secrets;
mod calls;
mod draft;
mod hosts;
mod kong;
mod kong_consumers;
mod kong_plugins;
mod kong_routes;
mod kong_targets;
mod list;
mod litellm;
mod litellm_deployment;
mod litellm_keys;
mod litellm_limits;
mod litellm_lists;
mod litellm_models;
mod litellm_owners;
mod litellm_reach;
mod litellm_settings;
mod objects;
mod outputs;
mod portkey;
mod portkey_targets;
mod report;
mod rights;
mod test_file;
mod token;
mod vendors;

mod subcommand;

pub(super) use subcommand::Command;
