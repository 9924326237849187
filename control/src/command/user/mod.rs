//! `keyswap user`: users of a registry. They sign in at an identity provider and are identified by their email address.
mod create;
mod delete;
mod list;
mod offboard;
mod show;
mod update;
mod view;

mod subcommand;

pub(super) use subcommand::Command;
