//! `keyswap object`: the objects that callers keep at providers.
mod adopt;
mod forget;
mod holder;
mod list;
mod show;
mod transfer;
mod view;

mod subcommand;

pub(super) use subcommand::Command;
