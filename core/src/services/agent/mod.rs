//! Agents that hand out upstream credentials: token agents, metadata servers, secret managers, and services that exchange
//! identities for credentials.

mod answer;
mod bedrock;
mod call;
mod callers;
mod client;
mod given;
mod held;

pub(crate) use self::client::{Agent, CallerToken};
pub(crate) use self::given::{Given, Purpose};
pub(crate) use self::held::{Freshness, Value};
