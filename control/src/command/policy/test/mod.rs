//! `keyswap policy test`: whether a policy decides as its cases say.
mod comparison;
mod document;
mod expectation;
mod found;
mod host;
mod issuer;
mod services;
mod subcommand;
mod suite;
mod template;

pub(super) use subcommand::Test;
