//! The keys of the issuers that administrators sign in with, fetched and kept.

mod keys;
mod pace;

pub(super) use keys::{Keys, KeysUnavailableError, Place, is_loopback};
