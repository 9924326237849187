//! `keyswap policy test`: cases of a policy, compared with its decisions.
mod subcommand;

pub(super) use subcommand::Test;
