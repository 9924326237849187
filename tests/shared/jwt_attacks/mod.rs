//! Attacks on JWTs, by their number in the threat list, each with its expected error.
//!
//! `core/tests/jwt_attacks.rs` gives them to the engine's verifier, which must return this error, and
//! `tests/tests/jwt_attacks.rs` sends them to Envoy, which must answer with the error's reason. Both include this
//! folder, and define `with` and `base64url` at their root. An attack that one of them omits is dead code, which CI
//! refuses.

pub(crate) mod claims;
pub(crate) mod forge;
pub(crate) mod form;
pub(crate) mod header;
pub(crate) mod keys;
pub(crate) mod signature;
