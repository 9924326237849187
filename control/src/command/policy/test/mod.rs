//! `keyswap policy test`: whether a policy decides as its cases say.
mod subcommand;

pub(super) use subcommand::Test;
