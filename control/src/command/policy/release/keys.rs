//! The public keys that the command trusts: never those that a registry names, since it may be hostile.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::command::terminal::input;
use crate::registry::SignerKeys;
use crate::signing::{MAX_KEY_BYTES, SigningKey};

/// The largest file of public keys: four times the longest set that the engine reads, for its white space.
const MAX_KEYS_BYTES: usize = 1024 * 1024;

/// Reads a private key.
pub(super) fn read_private(path: &Path) -> anyhow::Result<SigningKey> {
    SigningKey::read(&input::read(path, MAX_KEY_BYTES)?)
        .with_context(|| format!("cannot sign with {}", input::name(path)))
}

/// Reads public keys, a JWK Set as `policy keygen` prints it.
pub(super) fn read_public(path: &Path) -> anyhow::Result<SignerKeys> {
    SignerKeys::of(document(path)?).with_context(|| format!("cannot use {}", input::name(path)))
}

/// Returns the public key of the signer, and those of the file.
pub(super) fn with_own(own: &SigningKey, others: Option<&Path>) -> anyhow::Result<SignerKeys> {
    let own = serde_json::to_value(own.public())?;
    let mut keys = match others {
        Some(path) => read_public(path)?.document().get("keys").and_then(Value::as_array).cloned(),
        None => None,
    }
    .unwrap_or_default();
    if !keys.iter().any(|key| key.get("kid") == own.get("kid")) {
        keys.insert(0, own);
    }
    Ok(SignerKeys::of(json!({"keys": keys}))?)
}

fn document(path: &Path) -> anyhow::Result<Value> {
    let text = input::read(path, MAX_KEYS_BYTES)?;
    let document = serde_json::from_slice(&text).ok();
    document.with_context(|| {
        format!("{} is not JSON: expected a JWK Set, as `policy keygen` prints it", input::name(path))
    })
}
