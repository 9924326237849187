//! The registry that a subcommand works on: a database or a server.

pub(super) mod operations;

mod local;
pub(super) mod remote;

pub(super) mod target;
