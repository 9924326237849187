//! Small readings of bytes that several parsers share.

/// The byte that `%XY` stands for.
pub(crate) fn unescape(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Decodes percent-escapes; what is not a well-formed escape stays as it is.
pub(crate) fn percent_decode(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || match rest {
        [b'%', high, low, tail @ ..] if unescape(*high, *low).is_some() => {
            rest = tail;
            unescape(*high, *low)
        }
        [byte, tail @ ..] => {
            rest = tail;
            Some(*byte)
        }
        [] => None,
    })
}

/// Appends a byte, escaped unless it is unreserved (RFC 3986 section 2.3).
pub(crate) fn push_escaped(text: &mut Vec<u8>, byte: u8) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
        text.push(byte);
        return;
    }
    let digit =
        |value: u8| char::from_digit(value.into(), 16).map_or(b'0', |digit| digit.to_ascii_uppercase() as u8);
    text.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_escapes_and_leaves_broken_ones() {
        for (text, expect) in [
            ("key", "key"),
            ("k%65y", "key"),
            ("%6B%65%79", "key"),
            ("k%6", "k%6"),
            ("%zz", "%zz"),
            ("%", "%"),
        ] {
            assert_eq!(percent_decode(text.as_bytes()).collect::<Vec<_>>(), expect.as_bytes(), "{text}");
        }
    }
}
