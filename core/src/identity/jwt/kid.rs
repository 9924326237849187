//! Key ids (`kid`), of tokens and of keys.

use serde_json::{Map, Value};

/// The longest key id, in bytes, in tokens and in key sets.
const MAX_KID_BYTES: usize = 256;

/// The error of a `kid` that is not a key id.
pub(super) struct InvalidKid;

/// Reads `kid` of a token or of a key (RFC 7515 section 4.1.4, RFC 7517 section 4.5). A key id is only compared with
/// others.
pub(super) fn read_kid(members: &Map<String, Value>) -> Result<Option<String>, InvalidKid> {
    match members.get("kid") {
        None => Ok(None),
        Some(Value::String(kid)) if is_kid(kid) => Ok(Some(kid.clone())),
        Some(_) => Err(InvalidKid),
    }
}

fn is_kid(text: &str) -> bool {
    (1..=MAX_KID_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}
