//! `keyswap prices`: the prices that the engine is shipped with, and those of a policy.

mod catalog;
mod litellm;
mod section;
mod shipped;
mod show;
mod subcommand;
mod update;

pub(super) use self::subcommand::Command;
