//! `keyswap apply`: the tokens of a registry as a file has them.
mod document;
mod plan;
mod show;
mod tokens_out;

mod subcommand;

pub(super) use subcommand::Apply;
