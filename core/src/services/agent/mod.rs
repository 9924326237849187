//! Agents that hand out upstream credentials: token agents, metadata servers, secret managers.

mod answer;
mod client;

pub(crate) use self::client::{Agent, Freshness};
