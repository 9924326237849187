//! `keyswap token`: proxy tokens.
mod create;
mod delete;
mod disable;
mod enable;
mod import;
mod list;
mod rotate;
mod selector;
mod show;
mod stdin;
mod view;

mod subcommand;

pub(super) use subcommand::Command;
