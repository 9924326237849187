//! JSON pointers in a policy (RFC 6901).

use super::reader::Node;

pub(super) const POINTER_EXPECTED: &str = "expected a JSON pointer such as `/data/token`";

/// The pointer to the whole document (RFC 6901 section 5).
pub(super) const POINTER_TO_DOCUMENT: &str = "";

/// Reads a JSON pointer (RFC 6901 section 3).
pub(super) fn read_pointer(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    node.check(Some(text).filter(|text| is_pointer(text)), POINTER_EXPECTED).map(str::to_owned)
}

/// Returns whether a text is a JSON pointer to a part of a document.
pub(super) fn is_pointer(text: &str) -> bool {
    let escapes_hold =
        text.split('~').skip(1).all(|escape| escape.starts_with('0') || escape.starts_with('1'));
    text.starts_with('/') && text.len() <= 256 && escapes_hold
}
