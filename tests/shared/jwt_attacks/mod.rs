//! Attacks on JWTs, by their number in the threat list, with the fault that refuses each.
//!
//! `core/tests/jwt_attacks.rs` gives them to the engine's verifier, which must find that very fault, and
//! `tests/tests/jwt_attacks.rs` sends them to Envoy, which must answer with its reason. Both include this folder, and
//! have `with` and `base64url` at their root. Whatever one of them leaves out is dead code in it, which CI refuses.

pub(crate) mod claims;
pub(crate) mod forge;
pub(crate) mod form;
pub(crate) mod header;
pub(crate) mod keys;
pub(crate) mod signature;
