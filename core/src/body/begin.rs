//! The beginning of a JSON text.

/// The bytes that may stand in front of a JSON text, whatever its encoding: white space, zeros and marks of the order of bytes.
const BEFORE: &[u8] = b" \t\r\n\0\xef\xbb\xbf\xfe\xff";

/// Returns what follows the bytes that may stand in front of a JSON text; empty where there is nothing else.
pub(crate) fn begin_of_json(bytes: &[u8]) -> &[u8] {
    let begin = bytes.iter().position(|byte| !BEFORE.contains(byte));
    begin.and_then(|begin| bytes.get(begin..)).unwrap_or_default()
}
