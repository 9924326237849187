//! Searches for a byte among eight at a time. Most of a body is plain text, which is passed over so, and a token is long.

/// The lowest bit of each byte.
const ONES: u64 = u64::from_le_bytes([1; 8]);
/// The highest bit of each byte.
const TOPS: u64 = u64::from_le_bytes([0x80; 8]);

/// Returns whether a text has an end, in letters of either case.
pub(crate) fn has_end(text: &[u8], end: &[u8]) -> bool {
    let own = text.len().checked_sub(end.len()).and_then(|at| text.get(at..));
    own.is_some_and(|own| own.eq_ignore_ascii_case(end))
}

/// Returns the length of the text in front of the first quotation mark, backslash or control character.
pub(crate) fn plain_length(slice: &[u8]) -> usize {
    length_before(
        slice,
        |eight| equal_to(eight, b'"') | equal_to(eight, b'\\') | below(eight, 0x20),
        |byte| matches!(byte, b'"' | b'\\' | 0..=0x1f),
    )
}

/// Returns the length of the text in front of the first CR or LF.
pub(crate) fn line_length(slice: &[u8]) -> usize {
    length_before(
        slice,
        |eight| equal_to(eight, b'\r') | equal_to(eight, b'\n'),
        |byte| matches!(byte, b'\r' | b'\n'),
    )
}

/// Returns whether a text is printable ASCII without quotation marks and backslashes.
pub(crate) fn is_printable(slice: &[u8]) -> bool {
    let length = length_before(
        slice,
        |eight| {
            // Seven bits of a byte cannot carry into the next.
            let above = ((eight & !TOPS).wrapping_add(ONES) | eight) & TOPS;
            equal_to(eight, b'"') | equal_to(eight, b'\\') | below(eight, 0x20) | above
        },
        |byte| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f..),
    );
    length == slice.len()
}

/// Returns whether a text is one element of a list: without commas, white space and control characters.
pub(crate) fn is_one_element(slice: &[u8]) -> bool {
    let length = length_before(
        slice,
        |eight| equal_to(eight, b',') | below(eight, 0x21),
        |byte| matches!(byte, b',' | 0..=b' '),
    );
    length == slice.len()
}

/// Returns whether a text is visible ASCII.
pub(crate) fn is_graphic(slice: &[u8]) -> bool {
    let length = length_before(
        slice,
        |eight| below(eight, 0x21) | ((eight & !TOPS).wrapping_add(ONES) | eight) & TOPS,
        |byte| !byte.is_ascii_graphic(),
    );
    length == slice.len()
}

/// Visits the places of all bytes that are one of two, and maybe of others, until a visit returns true. Returns whether one did.
#[inline]
pub(crate) fn any_of(slice: &[u8], [one, other]: [u8; 2], mut visit: impl FnMut(usize) -> bool) -> bool {
    let (eights, rest) = slice.as_chunks::<8>();
    let mut begin = 0usize;
    for eight in eights {
        let eight = u64::from_le_bytes(*eight);
        let mut marked = equal_to(eight, one) | equal_to(eight, other);
        while marked != 0 {
            let ahead = usize::try_from(marked.trailing_zeros() >> 3).unwrap_or(0);
            if visit(begin.saturating_add(ahead)) {
                return true;
            }
            marked &= marked.wrapping_sub(1);
        }
        begin = begin.saturating_add(8);
    }
    let mut places = rest.iter().enumerate().filter(|(_, byte)| **byte == one || **byte == other);
    places.any(|(ahead, _)| visit(begin.saturating_add(ahead)))
}

/// Returns a number that tells texts apart. It is no proof: two texts may have the same.
pub(crate) fn fingerprint(slice: &[u8]) -> u64 {
    let (eights, rest) = slice.as_chunks::<8>();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
    let with = |sum: u64, eight: &[u8; 8]| {
        (sum.rotate_left(5) ^ u64::from_le_bytes(*eight)).wrapping_mul(0x517c_c1b7_2722_0a95)
    };
    let length = u64::try_from(slice.len()).unwrap_or(u64::MAX);
    with(eights.iter().fold(length, with), &last)
}

/// Compares two texts in full, in a time that depends on their length only.
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    let ((ones, rest), (others, rest_of_other)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let eights = ones
        .iter()
        .zip(others)
        .fold(0, |differs, (one, other)| differs | (u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other)));
    let rest = rest.iter().zip(rest_of_other).fold(0, |differs, (one, other)| differs | (one ^ other));
    one.len() == other.len() && eights == 0 && rest == 0
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
    fn printable_text_can_stand_in_a_json_string_and_in_a_header() {
        for byte in 0..=u8::MAX {
            for place in 0..20 {
                let mut text = vec![b'x'; 20];
                text[place] = byte;
                let is_plain = matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
                assert_eq!(is_printable(&text), is_plain, "{text:?}");
            }
        }
    }

    #[test]
    fn an_element_has_no_comma_space_or_control_character() {
        for byte in 0..=u8::MAX {
            for place in 0..20 {
                let mut text = vec![b'x'; 20];
                text[place] = byte;
                assert_eq!(is_one_element(&text), byte > b' ' && byte != b',', "{text:?}");
            }
        }
    }

    #[test]
    fn visible_text_has_neither_spaces_nor_control_characters_nor_bytes_beyond_ascii() {
        for byte in 0..=u8::MAX {
            for place in 0..20 {
                let mut text = vec![b'x'; 20];
                text[place] = byte;
                assert_eq!(is_graphic(&text), byte.is_ascii_graphic(), "{text:?}");
            }
        }
    }

    #[test]
    fn every_place_of_two_bytes_is_visited_in_order_until_one_is_enough() {
        for bytes in [[0, b'9'], [b'%', b'%'], [0x7f, 0x80], [0xff, 0xfe]] {
            for length in 0..40 {
                let mut text = vec![bytes[0] ^ 0x11; length];
                assert!(!any_of(&text, bytes, |place| bytes.contains(&text[place])), "{text:?}");
                for (number, place) in (0..length).rev().step_by(3).enumerate() {
                    text[place] = bytes[number % 2];
                    let mut seen = Vec::new();
                    let visit = |at: usize| {
                        seen.extend(bytes.contains(&text[at]).then_some(at));
                        at == length - 1
                    };
                    assert!(any_of(&text, bytes, visit));
                    let expect: Vec<usize> = (place..length).step_by(3).collect();
                    assert_eq!(seen, expect, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn texts_that_differ_in_a_bit_or_in_length_are_not_the_same() {
        for length in 0..40 {
            let text = vec![b'x'; length];
            assert!(is_same(&text, &text.clone()), "{length}");
            for (place, bit) in (0..length).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
                let mut other = text.clone();
                other[place] ^= 1 << bit;
                assert!(
                    !is_same(&text, &other) && fingerprint(&text) != fingerprint(&other),
                    "{place} {bit}"
                );
            }
            let longer = [text.as_slice(), b"\0"].concat();
            assert!(!is_same(&text, &longer) && !is_same(&longer, &text));
            assert_ne!(fingerprint(&text), fingerprint(&longer));
        }
    }

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
