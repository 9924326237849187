//! `keyswap render`: what runs the filter, written from the policy that it runs, for Envoy, Istio and Envoy Gateway.
//!
//! A policy names hosts, clusters and variables; whatever runs it must have them under these names. Written by hand in two
//! places they drift apart. No secret is read or written: they are named, and the deployment brings them.
mod common;
mod envoy;
mod envoy_gateway;
mod istio;
mod kubernetes;
mod parts;
mod plan;
mod site;
mod text;

mod subcommand;

pub(super) use subcommand::Command;
