//! The subcommands of `keyswap`.

use clap::Subcommand;

use super::terminal::exit::Exit;
use super::{
    api_key, apply, budget, completions, credential, object, policy, prices, render, serve, session, token,
    up, usage, user, version,
};

/// A subcommand.
#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(subcommand)]
    Policy(policy::Command),
    #[command(subcommand)]
    Prices(prices::Command),
    #[command(subcommand)]
    Token(token::Command),
    Apply(apply::Apply),
    #[command(subcommand)]
    User(user::Command),
    #[command(subcommand)]
    Budget(budget::Command),
    Usage(usage::Usage),
    #[command(subcommand)]
    Object(object::Command),
    #[command(subcommand)]
    Credential(credential::Command),
    Login(session::Login),
    Logout(session::Logout),
    #[command(subcommand)]
    Session(session::Command),
    #[command(subcommand, name = "api-key")]
    ApiKey(api_key::Command),
    #[command(subcommand)]
    Render(Box<render::Command>),
    Up(Box<up::Up>),
    Serve(Box<serve::Serve>),
    RunTied(up::Tied),
    Version(version::Version),
    Completions(completions::Completions),
}

impl Command {
    /// Runs the subcommand. `program` builds the whole command line, for shell completions.
    pub(crate) fn run(self, program: fn() -> clap::Command) -> anyhow::Result<Exit> {
        match self {
            Self::Policy(command) => command.run(),
            Self::Prices(command) => command.run(),
            Self::Token(command) => command.run(),
            Self::Apply(command) => command.run(),
            Self::User(command) => command.run(),
            Self::Budget(command) => command.run(),
            Self::Usage(command) => command.run(),
            Self::Object(command) => command.run(),
            Self::Credential(command) => command.run(),
            Self::Login(command) => command.run(),
            Self::Logout(command) => command.run(),
            Self::Session(command) => command.run(),
            Self::ApiKey(command) => command.run(),
            Self::Render(command) => command.run(),
            Self::Up(command) => command.run(),
            Self::Serve(command) => command.run(),
            Self::RunTied(command) => command.run(),
            Self::Version(command) => command.run(),
            Self::Completions(command) => command.run(&mut program()),
        }
    }
}
