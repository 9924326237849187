//! The parts of a JSON text (RFC 8259) that a byte may be in, and the events that are told of a text.

use std::fmt;

/// The deepest nesting that is followed, in levels.
pub const MAX_DEPTH: usize = 128;
/// The longest string or number that is told, in bytes.
pub const MAX_TEXT_BYTES: usize = 256;

/// A scalar at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar<'t> {
    /// A string, its escapes resolved.
    Text(&'t str),
    /// A number, as it is written.
    Number(&'t str),
    /// A string or a number of more than [`MAX_TEXT_BYTES`], or a string that was told in pieces.
    Long,
    /// `true` or `false`.
    Flag(bool),
    /// `null`.
    Null,
}

/// An event in a text. The numbers are those of the paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'t> {
    /// The value at a path is this scalar.
    Scalar(usize, Scalar<'t>),
    /// The value at a path is an object or an array, which begins here.
    Opens(usize),
    /// The object or array at a path ends.
    Closes {
        /// The number of the path.
        path: usize,
        /// The place of the byte that closes it, in the slice.
        at: usize,
        /// Set where it has no member and no element.
        is_empty: bool,
    },
    /// Bytes of the string at a path, their escapes resolved, where strings are told in pieces.
    Piece(usize, &'t [u8]),
    /// A member on a path comes a second time in its object.
    Again(usize),
    /// The name of a member differs from one on a path by the case of letters only: some readers take it for that.
    Alike(usize),
    /// The byte at this place of the slice closes the text.
    End(usize),
}

/// The error of a text that is not JSON, or that readers may understand in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// A byte that cannot stand where it stands.
    Unexpected,
    /// Deeper than is followed.
    TooDeep,
    /// The name of a member, or a string at a path, that is not UTF-8, or has half of a surrogate pair.
    Encoding,
    /// A byte behind the text that is not white space.
    Trailing,
    /// The text has broken off.
    Incomplete,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unexpected => "a byte stands where it cannot",
            Self::TooDeep => "it is nested too deep",
            Self::Encoding => "a name or a text in it is not UTF-8",
            Self::Trailing => "something follows it",
            Self::Incomplete => "it breaks off",
        })
    }
}

impl std::error::Error for JsonError {}

/// The part of the grammar that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Before a value, or before the end of an array that has no element.
    Value {
        may_close: bool,
    },
    /// Before the name of a member, or before the end of an object that has no member.
    Name {
        may_close: bool,
    },
    Colon,
    /// Behind a value in an array or an object.
    Next,
    String {
        is_name: bool,
        escape: Escape,
    },
    Number(Number),
    /// In a word, of which so many bytes were read.
    Word(Word, u8),
    /// Behind the text.
    End,
    Failed(JsonError),
}

impl State {
    /// Returns the state behind the byte that opens an array or an object.
    pub(super) fn behind_opening(is_object: bool) -> Self {
        if is_object { Self::Name { may_close: true } } else { Self::Value { may_close: true } }
    }

    /// Returns the state behind a comma in an array or an object.
    pub(super) fn behind_comma(is_object: bool) -> Self {
        if is_object { Self::Name { may_close: false } } else { Self::Value { may_close: false } }
    }
}

/// A scalar that is written as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    True,
    False,
    Null,
}

impl Word {
    pub(super) fn text(self) -> &'static [u8] {
        match self {
            Self::True => b"true",
            Self::False => b"false",
            Self::Null => b"null",
        }
    }

    pub(super) fn scalar(self) -> Scalar<'static> {
        match self {
            Self::True => Scalar::Flag(true),
            Self::False => Scalar::Flag(false),
            Self::Null => Scalar::Null,
        }
    }
}

/// The part of an escape that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    Backslash,
    /// `\u` with so many of its four digits. A surrogate that came before is `high`.
    Digits {
        count: u8,
        value: u16,
        high: Option<u16>,
    },
    /// A high surrogate: `\u` has to follow.
    High(u16),
    HighBackslash(u16),
}

impl Escape {
    /// Returns the part behind a UTF-16 code unit, and the character that is complete with it. `high` is the surrogate in
    /// front of the unit. Returns no character behind half of a pair.
    pub(super) fn behind(high: Option<u16>, unit: u16) -> (Self, Option<char>) {
        let character = char::decode_utf16(high.into_iter().chain([unit])).next().and_then(Result::ok);
        let is_high = character.is_none() && (0xd800..0xdc00).contains(&unit);
        (if is_high { Self::High(unit) } else { Self::None }, character)
    }

    pub(super) fn is_backslash(self) -> bool {
        matches!(self, Self::Backslash | Self::HighBackslash(_))
    }
}

/// The part of a number that was read (RFC 8259 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

impl Number {
    /// Returns the beginning of a number; `None` for a byte that begins none.
    pub(super) fn beginning(byte: u8) -> Option<Self> {
        match byte {
            b'-' => Some(Self::Minus),
            b'0' => Some(Self::Zero),
            b'1'..=b'9' => Some(Self::Integer),
            _ => None,
        }
    }

    /// Returns the part with one more byte; `None` for a byte that is behind the number.
    pub(super) fn with(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Integer | Self::Fraction | Self::Exponent, b'0'..=b'9') => Some(self),
            (Self::Minus, b'0') => Some(Self::Zero),
            (Self::Minus, b'1'..=b'9') => Some(Self::Integer),
            (Self::Zero | Self::Integer, b'.') => Some(Self::Point),
            (Self::Point, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Some(Self::E),
            (Self::E, b'+' | b'-') => Some(Self::Sign),
            (Self::E | Self::Sign, b'0'..=b'9') => Some(Self::Exponent),
            _ => None,
        }
    }

    pub(super) fn is_whole(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::Exponent)
    }
}

/// Returns whether a byte is white space between two parts.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Returns the byte of an escape with one letter.
pub(super) fn unescape(letter: u8) -> Option<u8> {
    Some(match letter {
        b'"' | b'\\' | b'/' => letter,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}
