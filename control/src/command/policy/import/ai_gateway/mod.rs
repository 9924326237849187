//! An Envoy AI Gateway: its routes, backends and keys.

mod backends;
mod command;
mod routes;

pub(super) use self::command::AiGateway;
