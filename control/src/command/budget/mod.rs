//! `keyswap budget`: the budgets of tokens, owners and teams in a registry.
mod delete;
mod list;
mod set;
mod show;
mod subject;
mod view;

mod subcommand;

pub(super) use subcommand::Command;
pub(super) use subject::principal;
