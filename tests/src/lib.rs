//! The testbed: a real Envoy with the real filter, and a stand-in for the providers and the gateway behind it.

pub mod clients;
mod standin;
pub mod tools;

pub use standin::{Hold, Received, Standin, UPSTREAM_HOSTS};
