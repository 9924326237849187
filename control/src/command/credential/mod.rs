//! `keyswap credential`: credentials of data planes and of introspection clients.
mod create;
mod list;
mod revoke;
mod rotate;
mod view;

mod subcommand;

pub(super) use subcommand::Command;
