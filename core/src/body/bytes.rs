//! Searches for a byte among eight at a time. Most of a body is plain text, which is passed over so.

/// The lowest bit of each byte.
const ONES: u64 = u64::from_le_bytes([1; 8]);
/// The highest bit of each byte.
const TOPS: u64 = u64::from_le_bytes([0x80; 8]);

/// Returns the length of the text in front of the first quotation mark, backslash or control character.
pub(super) fn plain_length(slice: &[u8]) -> usize {
    length_before(
        slice,
        |eight| equal_to(eight, b'"') | equal_to(eight, b'\\') | below(eight, 0x20),
        |byte| matches!(byte, b'"' | b'\\' | 0..=0x1f),
    )
}

/// Returns the length of the text in front of the first CR or LF.
pub(super) fn line_length(slice: &[u8]) -> usize {
    length_before(
        slice,
        |eight| equal_to(eight, b'\r') | equal_to(eight, b'\n'),
        |byte| matches!(byte, b'\r' | b'\n'),
    )
}

/// Returns the length of the bytes in front of the first that is sought. `marks` sets the highest bit of that byte, and
/// of none in front of it.
fn length_before(slice: &[u8], marks: impl Fn(u64) -> u64, is_sought: impl Fn(u8) -> bool) -> usize {
    let (eights, rest) = slice.as_chunks::<8>();
    let mut length = 0usize;
    for eight in eights {
        let marked = marks(u64::from_le_bytes(*eight));
        if marked != 0 {
            return length.saturating_add(usize::try_from(marked.trailing_zeros() >> 3).unwrap_or(0));
        }
        length = length.saturating_add(8);
    }
    length.saturating_add(rest.iter().position(|byte| is_sought(*byte)).unwrap_or(rest.len()))
}

fn equal_to(eight: u64, byte: u8) -> u64 {
    below(eight ^ ONES.wrapping_mul(u64::from(byte)), 1)
}

/// Marks the bytes that are below a limit of at most 128. Bytes behind the first may be marked by its borrow.
fn below(eight: u64, limit: u8) -> u64 {
    eight.wrapping_sub(ONES.wrapping_mul(u64::from(limit))) & !eight & TOPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sought_byte_is_found_at_every_place() {
        for sought in [b'"', b'\\', b'\r', b'\n', 0, 0x1f] {
            for (length, filler) in
                (0..40).flat_map(|length| [(length, b'x'), (length, 0xff), (length, b' ')])
            {
                for place in 0..length {
                    let mut text = vec![filler; length];
                    text[place] = sought;
                    text[length - 1] = sought;
                    let is_end = matches!(sought, b'\r' | b'\n');
                    assert_eq!(plain_length(&text), place, "{text:?}");
                    assert_eq!(line_length(&text), if is_end { place } else { length }, "{text:?}");
                }
            }
        }
    }
}
