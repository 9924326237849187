//! Agents that hand out upstream credentials: token agents, metadata servers, secret managers, and services that exchange
//! identities for credentials.

mod answer;
mod call;
mod client;
mod held;

pub(crate) use self::client::{Agent, CallerToken};
pub(crate) use self::held::{Freshness, Value};
