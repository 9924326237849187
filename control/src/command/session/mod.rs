//! `keyswap login`, `keyswap logout` and `keyswap session`: the session of a person on this device, and those of a registry.
mod kept;

mod end;
mod list;
mod login;
mod logout;
mod token;

mod subcommand;

pub(super) use login::Login;
pub(super) use logout::Logout;
pub(super) use subcommand::Command;
