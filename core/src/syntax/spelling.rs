//! Spellings of header names: a name is recognised in any case and with `_` or `.` for `-`. Servers exist that read
//! `X_API_KEY` and `x-api-key` as one.

/// Returns whether `name` is a spelling of `canonical`, which is in lower case with hyphens.
///
/// The last byte is compared first: names that begin alike end differently, so it rules out nearly every other name.
#[inline]
pub(crate) fn is_spelling_of(name: &[u8], canonical: &str) -> bool {
    name.len() == canonical.len()
        && name.last().map(|byte| normal_byte(*byte)) == canonical.as_bytes().last().copied()
        && (name == canonical.as_bytes() || spells(name, canonical))
}

#[inline(never)]
fn spells(name: &[u8], canonical: &str) -> bool {
    name.iter().zip(canonical.bytes()).all(|(byte, other)| normal_byte(*byte) == other)
}

#[inline]
pub(super) fn normal_byte(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        _ => byte.to_ascii_lowercase(),
    }
}
