//! `keyswap policy import`: a policy from another gateway's configuration.
//!
//! Keys become digests at once: no key is written. Settings without a counterpart are noted. A key that such a setting
//! restricts is imported as disabled, so that it never permits more than before.
mod api_key_auth;
mod draft;
mod litellm;
mod litellm_keys;
mod litellm_models;

mod subcommand;

pub(super) use subcommand::Command;
