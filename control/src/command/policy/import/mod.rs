//! `keyswap policy import`: a policy from what another gateway is configured with.
//!
//! Keys become digests at once: no key is written anywhere. What a policy does not have is said, and a key that was
//! restricted by it comes in disabled, never wider than it was.
mod api_key_auth;
mod draft;
mod litellm;
mod litellm_keys;
mod litellm_models;

mod subcommand;

pub(super) use subcommand::Command;
