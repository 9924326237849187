//! The framing of server-sent events (HTML Standard section 9.2.6), fed slice by slice.
//!
//! The data of an event is told as it comes, and never kept. A line may end in CR, LF or both, also across two slices.

use super::text::Text;
use crate::base::bytes::line_length;

/// The longest name of an event that is told, in bytes. A longer one is told as none.
pub const MAX_EVENT_NAME_BYTES: usize = 64;

/// A part of an event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'s> {
    /// Bytes of the data of the event under way. A line feed stands between two lines of data.
    Data(&'s [u8]),
    /// The event under way is complete.
    End {
        /// The place of the first byte behind it, in the slice.
        at: usize,
        /// Set where the event has data. Readers leave out an event without.
        has_data: bool,
    },
}

/// The framing of one event stream.
pub struct Events {
    state: State,
    /// Set behind a CR: an LF that follows belongs to it.
    is_behind_cr: bool,
    /// Set where the first bytes may be those of a byte order mark: so many of it came.
    mark: Option<u8>,
    field: Text<8>,
    name: Text<MAX_EVENT_NAME_BYTES>,
    has_data: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the beginning of a line.
    Line,
    /// In the name of a field.
    Field,
    /// Behind the colon of a field: one space is left out.
    Colon(Field),
    /// In the value of a field.
    Value(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Other,
}

/// The byte order mark, which one reader in front of an event stream leaves out.
const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl Default for Events {
    fn default() -> Self {
        Self {
            state: State::Line,
            is_behind_cr: false,
            mark: Some(0),
            field: Text::default(),
            name: Text::default(),
            has_data: false,
        }
    }
}

impl Events {
    /// Takes the next slice, and tells its parts in order. `tell` gets the name of the event, too: `None` where it has
    /// none, or a longer one than is told.
    pub fn feed(&mut self, slice: &[u8], tell: &mut dyn FnMut(Part<'_>, Option<&str>)) {
        let mut rest = slice;
        while let Some((first, behind)) = rest.split_first() {
            // The greatest part of a stream is data that holds no end of line.
            if self.state == State::Value(Field::Data) {
                let length = line_length(rest);
                if let Some((data, behind)) = rest.split_at_checked(length).filter(|_| length > 0) {
                    tell(Part::Data(data), self.name());
                    rest = behind;
                    continue;
                }
            }
            rest = behind;
            self.take(*first, slice.len().saturating_sub(rest.len()), tell);
        }
    }

    fn take(&mut self, byte: u8, behind: usize, tell: &mut dyn FnMut(Part<'_>, Option<&str>)) {
        if self.is_of_mark(byte, tell) {
            return;
        }
        let is_second_half = std::mem::take(&mut self.is_behind_cr) && byte == b'\n';
        match byte {
            _ if is_second_half => {}
            b'\r' | b'\n' => {
                self.is_behind_cr = byte == b'\r';
                self.end_line(behind, tell);
            }
            _ => self.in_line(byte, tell),
        }
    }

    fn in_line(&mut self, byte: u8, tell: &mut dyn FnMut(Part<'_>, Option<&str>)) {
        match self.state {
            State::Line | State::Field if byte == b':' => self.begin_value(tell),
            State::Line | State::Field => {
                self.field.push(byte);
                self.state = State::Field;
            }
            State::Colon(field) => {
                self.state = State::Value(field);
                if byte != b' ' {
                    self.in_line(byte, tell);
                }
            }
            State::Value(Field::Data) => tell(Part::Data(&[byte]), self.name()),
            State::Value(Field::Event) => self.name.push(byte),
            State::Value(Field::Other) => {}
        }
    }

    /// Begins the value of the field whose name was read. A field without a name is a comment.
    fn begin_value(&mut self, tell: &mut dyn FnMut(Part<'_>, Option<&str>)) {
        let field = match self.field.bytes() {
            Some(b"data") => Field::Data,
            Some(b"event") => Field::Event,
            _ => Field::Other,
        };
        match field {
            Field::Data if std::mem::replace(&mut self.has_data, true) => {
                tell(Part::Data(b"\n"), self.name());
            }
            Field::Event => self.name.clear(),
            Field::Data | Field::Other => {}
        }
        self.field.clear();
        self.state = State::Colon(field);
    }

    fn end_line(&mut self, behind: usize, tell: &mut dyn FnMut(Part<'_>, Option<&str>)) {
        match self.state {
            // A name without a colon is a field with an empty value.
            State::Field => self.begin_value(tell),
            State::Line => {
                let has_data = std::mem::take(&mut self.has_data);
                tell(Part::End { at: behind, has_data }, self.name());
                self.name.clear();
            }
            State::Colon(_) | State::Value(_) => {}
        }
        self.state = State::Line;
    }

    /// Returns whether a byte is one of the mark in front of the stream. The beginning of another character is no mark.
    fn is_of_mark(&mut self, byte: u8, tell: &mut dyn FnMut(Part<'_>, Option<&str>)) -> bool {
        let Some(count) = self.mark.take().map(usize::from) else { return false };
        if MARK.get(count) == Some(&byte) {
            self.mark =
                u8::try_from(count.saturating_add(1)).ok().filter(|count| usize::from(*count) < MARK.len());
            return true;
        }
        MARK.iter().take(count).for_each(|byte| self.in_line(*byte, tell));
        false
    }

    fn name(&self) -> Option<&str> {
        self.name.text()
    }
}
