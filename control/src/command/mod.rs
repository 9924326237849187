//! The command line: its parser, and one file for each subcommand.

mod terminal;

mod environment;
mod listen;
mod log;
mod policy_file;
mod rate;
mod secret_variable;

mod connection;
mod list;

mod api_key;
mod apply;
mod budget;
mod completions;
mod credential;

mod object;
mod policy;
mod prices;
mod render;
mod serve;
mod session;
mod token;
mod up;
mod usage;
mod user;
mod version;

mod subcommand;

mod cli;

pub(crate) use cli::run;
