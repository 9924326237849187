//! Values that cannot be credentials.

use std::fmt;

use zeroize::Zeroizing;

/// An error of a value that cannot be a credential. The error shows of the value only what helps to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretError {
    /// The value is empty.
    Empty,
    /// The value ends in CR or LF, as a value read from a file often does.
    LineBreakAtEnd,
    /// A byte is outside visible ASCII: it cannot stand in a header, or would smuggle one.
    NotVisibleAscii {
        /// The position of the first such byte, from 0.
        at: usize,
    },
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::LineBreakAtEnd => f.write_str("ends with a line break: remove it"),
            Self::NotVisibleAscii { at } => {
                write!(f, "has a byte at position {at} that is not visible ASCII: a credential has none")
            }
        }
    }
}

impl std::error::Error for SecretError {}

/// Takes a value that can stand in a header: visible ASCII, and not empty.
pub(super) fn visible_ascii(value: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let value = Zeroizing::new(value);
    match value.iter().position(|byte| !byte.is_ascii_graphic()) {
        None if value.is_empty() => Err(SecretError::Empty),
        None => Ok(value),
        Some(at) if matches!(value.get(at..), Some(b"\n" | b"\r\n" | b"\r")) => {
            Err(if at == 0 { SecretError::Empty } else { SecretError::LineBreakAtEnd })
        }
        Some(at) => Err(SecretError::NotVisibleAscii { at }),
    }
}

/// Writes `<scheme> <value>`. The capacity is exact, so that no half-written copy is left behind by a reallocation.
pub(super) fn with_scheme(scheme: &str, value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(scheme.len() + 1 + value.len()));
    text.extend_from_slice(scheme.as_bytes());
    text.push(b' ');
    text.extend_from_slice(value);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_cannot_stand_in_a_header_is_refused() {
        for (value, error) in [
            (&b""[..], SecretError::Empty),
            (b"\n", SecretError::Empty),
            (b"sk-1\n", SecretError::LineBreakAtEnd),
            (b"sk-1\r\n", SecretError::LineBreakAtEnd),
            (b"sk-1\r\nx: y", SecretError::NotVisibleAscii { at: 4 }),
            (b"sk\t1", SecretError::NotVisibleAscii { at: 2 }),
            (b" sk", SecretError::NotVisibleAscii { at: 0 }),
            (b"sk\0", SecretError::NotVisibleAscii { at: 2 }),
            (b"sk\x7f", SecretError::NotVisibleAscii { at: 2 }),
            ("sk-é".as_bytes(), SecretError::NotVisibleAscii { at: 3 }),
        ] {
            assert_eq!(visible_ascii(value.to_vec()).err(), Some(error), "{value:?}");
        }
        assert!(visible_ascii(b"sk-1".to_vec()).is_ok());
    }
}
