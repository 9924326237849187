//! The keys of the issuers that administrators sign in with, fetched and kept.

mod keys;
mod pace;
mod words;

#[cfg(test)]
pub(super) use keys::Place;
pub(super) use keys::{Keys, KeysUnavailableError, is_loopback};
pub(super) use words::IssuerOptions;
