//! Words that several sections of the outline share.

use std::time::Duration;

use serde_json::{Value, json};

use crate::base::Digest;
use crate::identity::Models;
use crate::identity::jwt::{Jwk, JwkSet};

/// Returns the entries; a list of lists where several must allow a model.
pub(super) fn lists(models: &Models) -> Value {
    match models.lists() {
        [entries] => json!(entries),
        lists => json!(lists),
    }
}

/// Returns what a policy has to say of an address that TLS does not protect.
pub(super) fn plaintext(is_exposed: bool) -> Option<&'static str> {
    is_exposed.then_some("trusted_network")
}

/// Returns the usable keys, each by its digest and what it may sign.
pub(super) fn key_set(set: &JwkSet) -> Value {
    let key = |key: &Jwk| {
        json!({
            "kid": key.kid(),
            "sha256": digest(key.spki()),
            "use": key.is_of_domain().then_some("jwt-svid"),
            "issuer": key.issuer(),
        })
    };
    set.keys().iter().map(key).collect()
}

/// Returns enough of a digest to tell two values apart.
pub(super) fn digest(value: &[u8]) -> String {
    let mut digest = Digest::of(value).to_hex();
    digest.truncate(16);
    digest
}

pub(super) fn duration(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}
