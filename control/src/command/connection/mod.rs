//! The registry that a subcommand works on: a database or a server.

pub(super) mod operations;
pub(super) mod refused;

mod local;
pub(super) mod remote;

pub(super) mod target;
