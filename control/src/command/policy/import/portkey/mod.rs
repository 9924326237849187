//! Portkey's configs.

mod command;
mod targets;

pub(super) use self::command::Portkey;
