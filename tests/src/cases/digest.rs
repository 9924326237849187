//! The digest of a token, as policies and the registry write it.

use keyswap_core::base::Digest;

/// Returns the SHA-256 by which a token is known.
pub(super) fn digest_of(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}
