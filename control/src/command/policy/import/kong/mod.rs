//! Kong's declarative configuration.

mod command;
mod consumers;
mod plugins;
mod routes;
mod targets;

pub(super) use self::command::Kong;
