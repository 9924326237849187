//! `keyswap render`: configurations that run the filter, derived from its policy, for Envoy, Istio and Envoy Gateway.
//!
//! A policy names hosts, clusters and variables, and the configuration that runs it must define them under these names.
//! Deriving one from the other keeps them equal. No secret is read or written: the output refers to secrets by name.
mod common;
mod envoy;
mod envoy_gateway;
mod istio;
mod kubernetes;
mod parts;
mod plan;
mod registry;
mod site;
mod text;

mod subcommand;

pub(super) use envoy::{Local, bootstrap};
pub(super) use subcommand::Command;
