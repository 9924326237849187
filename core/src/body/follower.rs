//! A follower of one JSON text (RFC 8259) that comes in slices.
//!
//! The follower knows where it is: the depth, the members on the way, the inside of strings. It tells the scalars at the
//! paths that it was given, members of these that come twice, and the byte that closes the text. It keeps a fixed state
//! and its time is linear in the bytes, whatever their slices.
//!
//! It is strict. Where two readers could understand a text in two ways, the one upstream might not be like this one.

use std::fmt;

use super::paths::{Matches, Paths, numbers};
use super::text::Text;

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
    /// A string or a number of more than [`MAX_TEXT_BYTES`].
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
    /// Deeper than [`MAX_DEPTH`].
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

/// A follower. After an error it tells nothing more.
pub struct Follower {
    state: State,
    /// The open arrays and objects; a bit is set for an object.
    objects: u128,
    depth: usize,
    matches: Matches,
    /// The paths that end at the value under way.
    wanted: u64,
    /// The string or number under way, as far as it is told.
    text: Text<MAX_TEXT_BYTES>,
    /// Set where the string under way has half of a surrogate pair.
    is_broken: bool,
}

/// The part of the grammar that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
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
    /// In `true`, `false` or `null`: the scalar, and the bytes to come.
    Word(Scalar<'static>, &'static [u8]),
    /// Behind the text.
    End,
    Failed(JsonError),
}

/// The part of an escape that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
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

/// The part of a number that was read (RFC 8259 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

impl Follower {
    /// Makes a follower of a text in which these paths are told.
    pub fn new(paths: Paths) -> Self {
        let state = State::Value { may_close: false };
        Self {
            state,
            objects: 0,
            depth: 0,
            matches: Matches::new(paths),
            wanted: 0,
            text: Text::default(),
            is_broken: false,
        }
    }

    /// Takes the next slice of the text, and tells its events in order.
    ///
    /// # Errors
    /// The first fault of the text; the same again for each slice after it.
    pub fn feed(&mut self, slice: &[u8], tell: &mut dyn FnMut(Event<'_>)) -> Result<(), JsonError> {
        for (at, byte) in slice.iter().enumerate() {
            if let Err(error) = self.take(*byte, at, tell) {
                self.state = State::Failed(error);
                return Err(error);
            }
        }
        match self.state {
            State::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Ends the text. A number that is the whole text is told now.
    ///
    /// # Errors
    /// The first fault of the text, or that it is not whole.
    pub fn finish(&mut self, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), JsonError> {
        if let State::Number(number) = self.state
            && self.depth == 0
        {
            self.end_number(number, tell)?;
        }
        match self.state {
            State::End => Ok(()),
            State::Failed(error) => Err(error),
            _ => Err(JsonError::Incomplete),
        }
    }

    /// Returns the number of arrays and objects that are open.
    pub fn depth(&self) -> usize {
        self.depth
    }

    fn take(&mut self, byte: u8, at: usize, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), JsonError> {
        match self.state {
            State::String { is_name, escape } => self.in_string(byte, at, is_name, escape, tell),
            State::Number(number) => {
                let Some(number) = number.with(byte) else {
                    self.end_number(number, tell)?;
                    return self.take(byte, at, tell);
                };
                self.push(byte);
                self.state = State::Number(number);
                Ok(())
            }
            State::Word(scalar, rest) => match rest {
                [next] if *next == byte => {
                    self.tell(scalar, tell);
                    self.after_value(at, tell);
                    Ok(())
                }
                [next, rest @ ..] if *next == byte => {
                    self.state = State::Word(scalar, rest);
                    Ok(())
                }
                _ => Err(JsonError::Unexpected),
            },
            State::Failed(error) => Err(error),
            _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => Ok(()),
            State::End => Err(JsonError::Trailing),
            State::Value { may_close } => match byte {
                b']' if may_close => {
                    self.close(at, tell);
                    Ok(())
                }
                _ => self.begin_value(byte, tell),
            },
            State::Name { may_close } => match byte {
                b'"' => {
                    self.begin_text(true);
                    Ok(())
                }
                b'}' if may_close => {
                    self.close(at, tell);
                    Ok(())
                }
                _ => Err(JsonError::Unexpected),
            },
            State::Colon if byte == b':' => {
                self.state = State::Value { may_close: false };
                Ok(())
            }
            State::Next => self.next(byte, at, tell),
            State::Colon => Err(JsonError::Unexpected),
        }
    }

    fn next(&mut self, byte: u8, at: usize, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), JsonError> {
        match (byte, self.is_in_object()) {
            (b',', true) => self.state = State::Name { may_close: false },
            (b',', false) => {
                self.matches.element(self.level());
                self.state = State::Value { may_close: false };
            }
            (b'}', true) | (b']', false) => self.close(at, tell),
            _ => return Err(JsonError::Unexpected),
        }
        Ok(())
    }

    /// Begins a value. Where it stands was noted before: by the name of the member, or by the comma.
    fn begin_value(&mut self, byte: u8, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), JsonError> {
        self.wanted = self.matches.ends(self.depth);
        match byte {
            b'{' | b'[' => return self.open(byte == b'{', tell),
            b'"' => self.begin_text(false),
            b'-' | b'0'..=b'9' => {
                self.begin_text(false);
                self.push(byte);
                self.state = State::Number(match byte {
                    b'-' => Number::Minus,
                    b'0' => Number::Zero,
                    _ => Number::Integer,
                });
            }
            b't' => self.state = State::Word(Scalar::Flag(true), b"rue"),
            b'f' => self.state = State::Word(Scalar::Flag(false), b"alse"),
            b'n' => self.state = State::Word(Scalar::Null, b"ull"),
            _ => return Err(JsonError::Unexpected),
        }
        Ok(())
    }

    fn open(&mut self, is_object: bool, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), JsonError> {
        if self.depth >= MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        numbers(self.wanted).for_each(|path| tell(Event::Opens(path)));
        self.matches.open(self.depth);
        self.objects = (self.objects << 1) | u128::from(is_object);
        if !is_object {
            self.matches.element(self.depth);
        }
        self.depth = self.depth.saturating_add(1);
        self.state =
            if is_object { State::Name { may_close: true } } else { State::Value { may_close: true } };
        Ok(())
    }

    fn close(&mut self, at: usize, tell: &mut dyn FnMut(Event<'_>)) {
        let is_empty =
            matches!(self.state, State::Name { may_close: true } | State::Value { may_close: true });
        self.objects >>= 1;
        self.depth = self.depth.saturating_sub(1);
        numbers(self.matches.ends(self.depth)).for_each(|path| tell(Event::Closes { path, at, is_empty }));
        self.after_value(at, tell);
    }

    fn after_value(&mut self, at: usize, tell: &mut dyn FnMut(Event<'_>)) {
        self.state = if self.depth == 0 { State::End } else { State::Next };
        if self.depth == 0 {
            tell(Event::End(at));
        }
    }

    /// Tells a scalar at every path that ends there.
    fn tell(&self, scalar: Scalar<'_>, tell: &mut dyn FnMut(Event<'_>)) {
        numbers(self.wanted).for_each(|path| tell(Event::Scalar(path, scalar)));
    }

    fn begin_text(&mut self, is_name: bool) {
        self.text.clear();
        self.is_broken = false;
        self.state = State::String { is_name, escape: Escape::None };
    }

    fn push(&mut self, byte: u8) {
        self.text.push(byte);
    }

    fn end_number(&mut self, number: Number, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), JsonError> {
        if !number.is_whole() {
            return Err(JsonError::Unexpected);
        }
        if self.wanted != 0 {
            let scalar = match self.told_text()? {
                Some(text) => Scalar::Number(text),
                None => Scalar::Long,
            };
            self.tell(scalar, tell);
        }
        self.state = if self.depth == 0 { State::End } else { State::Next };
        Ok(())
    }

    fn in_string(
        &mut self,
        byte: u8,
        at: usize,
        is_name: bool,
        escape: Escape,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), JsonError> {
        let escape = match (escape, byte) {
            (Escape::None, b'"') => return self.end_string(at, is_name, tell),
            (Escape::None, b'\\') => Escape::Backslash,
            (Escape::None, 0..=0x1f) => return Err(JsonError::Unexpected),
            (Escape::None, _) => {
                self.push_told(is_name, &[byte]);
                Escape::None
            }
            (Escape::Backslash, b'u') => Escape::Digits { count: 0, value: 0, high: None },
            (Escape::Backslash, _) => {
                let byte = unescape(byte).ok_or(JsonError::Unexpected)?;
                self.push_told(is_name, &[byte]);
                Escape::None
            }
            (Escape::High(high), b'\\') => Escape::HighBackslash(high),
            (Escape::HighBackslash(high), b'u') => Escape::Digits { count: 0, value: 0, high: Some(high) },
            // A high surrogate alone.
            (Escape::High(_), _) => {
                self.is_broken = true;
                return self.in_string(byte, at, is_name, Escape::None, tell);
            }
            (Escape::HighBackslash(_), _) => {
                self.is_broken = true;
                return self.in_string(byte, at, is_name, Escape::Backslash, tell);
            }
            (Escape::Digits { count, value, high }, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(JsonError::Unexpected)?;
                let value = (value << 4) | u16::try_from(digit).unwrap_or(0);
                if count < 3 {
                    Escape::Digits { count: count.saturating_add(1), value, high }
                } else {
                    self.unit(is_name, high, value)
                }
            }
        };
        self.state = State::String { is_name, escape };
        Ok(())
    }

    /// Takes a UTF-16 code unit of an escape.
    fn unit(&mut self, is_name: bool, high: Option<u16>, unit: u16) -> Escape {
        let units = [high.unwrap_or(unit), unit];
        let units = if high.is_some() { &units[..] } else { units.get(1..).unwrap_or_default() };
        match char::decode_utf16(units.iter().copied()).next() {
            Some(Ok(character)) => {
                self.push_told(is_name, character.encode_utf8(&mut [0; 4]).as_bytes());
                Escape::None
            }
            _ if (0xd800..0xdc00).contains(&unit) => {
                // Behind a high surrogate another one: the first was alone.
                self.is_broken |= high.is_some();
                Escape::High(unit)
            }
            _ => {
                self.is_broken = true;
                Escape::None
            }
        }
    }

    /// Keeps bytes of a string that is a name or stands at a path.
    fn push_told(&mut self, is_name: bool, bytes: &[u8]) {
        if is_name || self.wanted != 0 {
            for byte in bytes {
                self.text.push(*byte);
            }
        }
    }

    fn end_string(
        &mut self,
        at: usize,
        is_name: bool,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), JsonError> {
        if is_name {
            // No path has a name that long, nor an empty one.
            let level = self.level();
            self.told_text()?;
            let found = self.matches.member(level, self.text.bytes().unwrap_or_default());
            numbers(found.again).for_each(|path| tell(Event::Again(path)));
            numbers(found.alike).for_each(|path| tell(Event::Alike(path)));
            self.state = State::Colon;
            return Ok(());
        }
        if self.wanted != 0 {
            let scalar = match self.told_text()? {
                Some(text) => Scalar::Text(text),
                None => Scalar::Long,
            };
            self.tell(scalar, tell);
        }
        self.after_value(at, tell);
        Ok(())
    }

    /// Returns the string or number under way; `None` where it is too long.
    fn told_text(&self) -> Result<Option<&str>, JsonError> {
        if self.is_broken {
            return Err(JsonError::Encoding);
        }
        self.text.bytes().map(|bytes| str::from_utf8(bytes).map_err(|_| JsonError::Encoding)).transpose()
    }

    /// Returns the level of the array or object under way.
    fn level(&self) -> usize {
        self.depth.saturating_sub(1)
    }

    fn is_in_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

impl Number {
    /// Returns the part with one more byte; `None` for a byte that is behind the number.
    fn with(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Minus, b'0') => Some(Self::Zero),
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Some(Self::Integer),
            (Self::Zero | Self::Integer, b'.') => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Some(Self::E),
            (Self::E, b'+' | b'-') => Some(Self::Sign),
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Some(Self::Exponent),
            _ => None,
        }
    }

    fn is_whole(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::Exponent)
    }
}

/// Returns the byte of an escape with one letter.
fn unescape(letter: u8) -> Option<u8> {
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
