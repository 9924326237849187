//! `keyswap policy import`: a policy from another gateway's configuration.
//!
//! Keys become digests at once: no key is written. Settings without a counterpart are noted. A key that such a setting
//! restricts is imported as disabled, so that it never permits more than before. A key is bound only to the host that the
//! configuration names for it.
mod ai_gateway;
mod api_key;
mod calls;
mod documents;
mod draft;
mod hosts;
mod kong;
mod list;
mod litellm;
mod objects;
mod outputs;
mod portkey;
mod report;
mod rights;
mod test_file;
mod token;
mod vendors;

mod subcommand;

pub(super) use subcommand::Command;
