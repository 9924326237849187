//! `keyswap token`: proxy tokens.
mod create;
mod delete;
mod import;
mod list;
mod rotate;
mod selector;
mod set_status;
mod show;
mod stdin;
mod update;
mod view;

mod subcommand;

pub(super) use selector::Selector;
pub(super) use subcommand::Command;
