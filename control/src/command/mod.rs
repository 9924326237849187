//! The subcommands, one file each.

mod completions;
mod confirm;
mod list;
mod local;
mod operations;
mod policy;
mod rate;
mod remote;
mod render;
mod serve;
mod table;
mod target;
mod token;
mod user;

use clap::Subcommand;

use crate::exit::Exit;

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(subcommand)]
    Policy(policy::Command),
    #[command(subcommand)]
    Token(token::Command),
    #[command(subcommand)]
    User(user::Command),
    #[command(subcommand)]
    Render(Box<render::Command>),
    Serve(serve::Serve),
    Completions(completions::Completions),
}

impl Command {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Policy(command) => command.run(),
            Self::Token(command) => command.run(),
            Self::User(command) => command.run(),
            Self::Render(command) => command.run(),
            Self::Serve(command) => command.run(),
            Self::Completions(command) => command.run(),
        }
    }
}
