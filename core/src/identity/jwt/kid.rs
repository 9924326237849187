//! Key ids, of tokens and of keys.

use serde_json::{Map, Value};

/// Longer key ids are refused, in tokens and in key sets.
const MAX_KID_BYTES: usize = 256;

/// `kid` is there and no key id.
pub(super) struct InvalidKid;

/// `kid` of a token or of a key. It is compared with others, and never used for anything else.
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
