//! `keyswap user`: people who sign in elsewhere and are known by their email address.
mod create;
mod delete;
mod list;
mod show;
mod update;
mod view;

mod subcommand;

pub(super) use subcommand::Command;
