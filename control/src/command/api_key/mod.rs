//! `keyswap api-key`: the keys of programs that administer a registry.
mod create;
mod list;
mod revoke;
mod view;

mod subcommand;

pub(super) use subcommand::Command;
