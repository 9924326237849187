//! A follower of one JSON text (RFC 8259) that comes in slices.
//!
//! The follower knows where it is: the depth, the members on the way, the inside of strings. It tells the scalars at the
//! paths that it was given, members of these that come twice, and the byte that closes the text. It keeps a fixed state
//! and its time is linear in the bytes, whatever their slices.
//!
//! It is strict. Where two readers could understand a text in two ways, the one upstream might not be like this one.

use super::grammar::{
    Escape, Event, JsonError, MAX_TEXT_BYTES, Number, Scalar, State, Word, is_space, unescape,
};
use super::paths::{Bits, Matches, Paths, Shape, numbers};
use super::text::Text;
use super::tokens::{Nest, behind_text};
use crate::base::bytes::plain_length;

/// A follower. After an error it tells nothing more.
pub struct Follower {
    pub(super) state: State,
    pub(super) nest: Nest,
    pub(super) matches: Matches,
    /// The depth of the outermost array or object that is open and that no path leads into.
    pub(super) dull: usize,
    /// The paths that end at the value under way.
    pub(super) wanted: Bits,
    /// The string or number under way, as far as it is told.
    text: Text<MAX_TEXT_BYTES>,
    /// Set where the bytes of the string or number under way are told.
    pub(super) is_told: bool,
    in_pieces: bool,
    /// Set where the string under way has half of a surrogate pair.
    is_broken: bool,
}

impl Follower {
    /// Makes a follower of a text in which these paths are told.
    pub fn new(paths: Paths) -> Self {
        Self::of(Shape { paths, ..Shape::default() })
    }

    /// Makes a follower of a text of this shape.
    pub fn of(shape: Shape) -> Self {
        Self::starting(&Matches::new(shape), shape.in_pieces)
    }

    /// Makes a follower with the tables of its paths.
    pub(super) fn starting(matches: &Matches, in_pieces: bool) -> Self {
        Self {
            state: State::Value { may_close: false },
            nest: Nest::default(),
            matches: *matches,
            dull: usize::MAX,
            wanted: 0,
            text: Text::default(),
            is_told: false,
            in_pieces,
            is_broken: false,
        }
    }

    /// Begins another text, in which the same paths are told.
    pub fn restart(&mut self) {
        self.matches.restart();
        (self.state, self.nest, self.dull) = (State::Value { may_close: false }, Nest::default(), usize::MAX);
    }

    /// Takes the next slice of the text, and tells its events in order.
    ///
    /// # Errors
    /// The first fault of the text; the same again for each slice after it.
    pub fn feed(&mut self, slice: &[u8], tell: &mut dyn FnMut(Event<'_>)) -> Result<(), JsonError> {
        let mut rest = slice;
        while let Some((byte, behind)) = rest.split_first() {
            // Most of a text are whole tokens that nothing selects. Most of the rest is within strings, numbers and space.
            let behind_tokens = self.pass_over(rest, tell);
            if behind_tokens.len() < rest.len() {
                rest = behind_tokens;
                continue;
            }
            let run = self.run_length(rest);
            if run > 0 {
                let (run, behind) = rest.split_at_checked(run).unwrap_or((rest, &[]));
                self.keep(run, tell);
                rest = behind;
                continue;
            }
            let at = slice.len().saturating_sub(rest.len());
            if let Err(error) = self.take(*byte, at, tell) {
                self.state = State::Failed(error);
                return Err(error);
            }
            rest = behind;
        }
        match self.state {
            State::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes the bytes that go on with a string, a number or white space. Returns how many those are.
    fn run_length(&mut self, rest: &[u8]) -> usize {
        match &mut self.state {
            State::String { escape: Escape::None, .. } if self.is_told => plain_length(rest),
            State::String { escape: Escape::None, .. } => rest.len().saturating_sub(behind_text(rest).len()),
            State::Number(number) => {
                rest.iter().map_while(|byte| number.with(*byte).map(|with| *number = with)).count()
            }
            State::Value { .. } | State::Name { .. } => {
                rest.iter().take_while(|byte| is_space(**byte)).count()
            }
            _ => 0,
        }
    }

    /// Ends the text. A number that is the whole text is told now.
    ///
    /// # Errors
    /// The first fault of the text, or that it is not whole.
    pub fn finish(&mut self, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), JsonError> {
        if let State::Number(number) = self.state
            && self.depth() == 0
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
        self.nest.depth()
    }

    /// Returns whether the last byte was in a string, a number or a word that goes on.
    pub(super) fn is_in_scalar(&self) -> bool {
        matches!(self.state, State::String { is_name: false, .. } | State::Number(_) | State::Word(..))
    }

    fn take(&mut self, byte: u8, at: usize, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), JsonError> {
        match self.state {
            State::String { is_name, escape } => self.in_string(byte, at, is_name, escape, tell),
            State::Number(number) => {
                self.end_number(number, tell)?;
                self.take(byte, at, tell)
            }
            State::Word(word, count) => {
                let left = word.text().get(usize::from(count)..).unwrap_or_default();
                match left {
                    [next] if *next == byte => {
                        self.tell(word.scalar(), tell);
                        self.after_value(at, tell);
                    }
                    [next, ..] if *next == byte => self.state = State::Word(word, count.saturating_add(1)),
                    _ => return Err(JsonError::Unexpected),
                }
                Ok(())
            }
            State::Failed(error) => Err(error),
            _ if is_space(byte) => Ok(()),
            State::End => Err(JsonError::Trailing),
            State::Value { may_close: true } if byte == b']' => {
                self.close(at, tell);
                Ok(())
            }
            State::Value { .. } => self.begin_value(byte, tell),
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
        match (byte, self.nest.is_in_object()) {
            (b',', is_object) => {
                if !is_object && !self.is_dull() {
                    self.matches.element(self.level());
                }
                self.state = State::behind_comma(is_object);
            }
            (b'}', true) | (b']', false) => self.close(at, tell),
            _ => return Err(JsonError::Unexpected),
        }
        Ok(())
    }

    /// Begins a value. Where it stands was noted before: by the name of the member, or by the comma.
    fn begin_value(&mut self, byte: u8, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), JsonError> {
        self.wanted = if self.is_dull() { 0 } else { self.matches.ends(self.depth()) };
        match byte {
            b'{' | b'[' => return self.open(byte == b'{', tell),
            b'"' => self.begin_text(false),
            b't' => self.state = State::Word(Word::True, 1),
            b'f' => self.state = State::Word(Word::False, 1),
            b'n' => self.state = State::Word(Word::Null, 1),
            _ => {
                let number = Number::beginning(byte).ok_or(JsonError::Unexpected)?;
                self.begin_text(false);
                self.text.push(byte);
                self.state = State::Number(number);
            }
        }
        Ok(())
    }

    fn open(&mut self, is_object: bool, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), JsonError> {
        let (depth, is_dull) = (self.depth(), self.is_dull());
        if !self.nest.open(is_object) {
            return Err(JsonError::TooDeep);
        }
        if !is_dull {
            numbers(self.wanted).for_each(|path| tell(Event::Opens(path)));
            self.matches.open(depth, self.wanted);
            if !self.matches.lead_below(depth) {
                self.dull = self.depth();
            } else if !is_object {
                self.matches.element(depth);
            }
        }
        self.state = State::behind_opening(is_object);
        Ok(())
    }

    fn close(&mut self, at: usize, tell: &mut dyn FnMut(Event<'_>)) {
        let is_empty =
            matches!(self.state, State::Name { may_close: true } | State::Value { may_close: true });
        self.nest.close();
        let depth = self.depth();
        if depth < self.dull {
            self.dull = usize::MAX;
            numbers(self.matches.ends(depth)).for_each(|path| tell(Event::Closes { path, at, is_empty }));
            self.matches.close(depth);
        }
        self.after_value(at, tell);
    }

    fn after_value(&mut self, at: usize, tell: &mut dyn FnMut(Event<'_>)) {
        self.is_told = false;
        self.state = if self.depth() == 0 { State::End } else { State::Next };
        if self.depth() == 0 {
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
        self.is_told = if is_name { !self.is_dull() } else { self.wanted != 0 };
        self.state = State::String { is_name, escape: Escape::None };
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
        self.is_told = false;
        self.state = if self.depth() == 0 { State::End } else { State::Next };
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
                self.keep(&[byte], tell);
                Escape::None
            }
            (Escape::Backslash, b'u') => Escape::Digits { count: 0, value: 0, high: None },
            (Escape::Backslash, _) => {
                let byte = unescape(byte).ok_or(JsonError::Unexpected)?;
                self.keep(&[byte], tell);
                Escape::None
            }
            (Escape::High(high), b'\\') => Escape::HighBackslash(high),
            (Escape::HighBackslash(high), b'u') => Escape::Digits { count: 0, value: 0, high: Some(high) },
            // A high surrogate alone.
            (Escape::High(_) | Escape::HighBackslash(_), _) => {
                self.is_broken = true;
                let before = if escape.is_backslash() { Escape::Backslash } else { Escape::None };
                return self.in_string(byte, at, is_name, before, tell);
            }
            (Escape::Digits { count, value, high }, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(JsonError::Unexpected)?;
                let value = (value << 4) | u16::try_from(digit).unwrap_or(0);
                if count < 3 {
                    Escape::Digits { count: count.saturating_add(1), value, high }
                } else {
                    let (escape, character) = Escape::behind(high, value);
                    match character {
                        Some(character) => self.keep(character.encode_utf8(&mut [0; 4]).as_bytes(), tell),
                        None => self.is_broken |= high.is_some() || escape == Escape::None,
                    }
                    escape
                }
            }
        };
        self.state = State::String { is_name, escape };
        Ok(())
    }

    /// Keeps bytes of a name, string or number that is told, or tells them at once.
    fn keep(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Event<'_>)) {
        if !self.is_told {
            return;
        }
        if self.in_pieces && matches!(self.state, State::String { is_name: false, .. }) {
            numbers(self.wanted).for_each(|path| tell(Event::Piece(path, bytes)));
        } else {
            self.text.extend(bytes);
        }
    }

    fn end_string(
        &mut self,
        at: usize,
        is_name: bool,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), JsonError> {
        if is_name {
            if self.is_told {
                self.told_text()?;
                // No path has a name that long, nor an empty one.
                let name = self.text.bytes().unwrap_or_default();
                self.matches.member(self.nest.depth().saturating_sub(1), name).tell(tell);
            }
            (self.state, self.is_told) = (State::Colon, false);
            return Ok(());
        }
        if self.wanted != 0 {
            let scalar = match self.told_text()?.filter(|_| !self.in_pieces) {
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

    pub(super) fn level(&self) -> usize {
        self.depth().saturating_sub(1)
    }

    /// Returns whether no path leads into the array or object under way.
    pub(super) fn is_dull(&self) -> bool {
        self.depth() >= self.dull
    }
}
