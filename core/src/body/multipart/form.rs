//! The framing of a form in parts (RFC 7578, RFC 2046 section 5.1), fed slice by slice.
//!
//! The texts of judged fields are told; no other bytes are kept. The framing is strict: no preamble, no epilogue, lines
//! that end in CRLF. A boundary behind a lone LF, or at the very beginning of a part, is one for some readers only: an
//! error.

use super::parameters::boundary;
use super::part::{Fields, FormError, Head};
use crate::base::bytes::line_length;
use crate::body::grammar::MAX_TEXT_BYTES;
use crate::body::text::Text;
use crate::provider::objects::Objects;

/// The most bytes of a line of a part's head.
const MAX_LINE_BYTES: usize = 512;
/// The most lines of a part's head.
const MAX_LINES: u8 = 8;
/// The most bytes of a delimiter: CRLF, two hyphens and a boundary of 70 characters.
const MAX_DELIMITER_BYTES: usize = 74;
const LINE_END: &[u8] = b"\r\n";

/// An event in a form. The numbers are those of the names, and behind them those of the members that name objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormEvent<'f> {
    /// The text of a judged field.
    Text(usize, &'f str),
    /// The text of a judged field has more than [`MAX_TEXT_BYTES`].
    Long(usize),
    /// A part of a file, where objects are told.
    File(&'f [u8]),
    /// The end of a file.
    FileEnd,
    /// The byte at this place of the slice closes the form.
    End(usize),
}

/// The framing of one form. After an error nothing more is told.
pub struct Multipart {
    fields: Fields,
    state: State,
    delimiter: Text<MAX_DELIMITER_BYTES>,
    line: Text<MAX_LINE_BYTES>,
    lines: u8,
    head: Head,
    /// The judged fields that came.
    seen: u64,
    /// The judged field under way, and its text.
    field: Option<usize>,
    text: Text<MAX_TEXT_BYTES>,
    /// Set in a file that is told.
    is_file: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the first delimiter, of which so many bytes were read.
    First(usize),
    /// Behind a delimiter.
    Behind,
    /// Behind a delimiter and this byte.
    BehindByte(u8),
    /// In a line of a head.
    Line,
    /// At the end of a line of a head.
    LineEnd,
    /// In the content of a part. So many bytes of the delimiter were read, those from `from` on in the content.
    Content {
        matched: usize,
        from: usize,
    },
    /// Behind the form, of which so many bytes of a last CRLF were read.
    End(usize),
    Failed(FormError),
}

impl Multipart {
    /// Makes the framing of a form with this content type, of which the fields with these names are judged, at most 64.
    ///
    /// # Errors
    /// The content type is that of no form.
    pub fn new(content_type: &str, names: &'static [&'static str]) -> Result<Self, FormError> {
        let boundary = boundary(content_type).ok_or(FormError::ContentType)?;
        let mut delimiter = Text::default();
        for part in [LINE_END, b"--", boundary.as_bytes()] {
            delimiter.extend(part);
        }
        Ok(Self {
            fields: Fields { names, objects: None },
            state: State::First(LINE_END.len()),
            delimiter,
            line: Text::default(),
            lines: 0,
            head: Head::default(),
            seen: 0,
            field: None,
            text: Text::default(),
            is_file: false,
        })
    }

    /// Tells the fields that name objects, too. Such a field may come more than once.
    pub(crate) fn telling(mut self, objects: Option<&'static Objects>) -> Self {
        self.fields.objects = objects;
        self
    }

    /// Takes the next slice of the form, and tells its events in order.
    ///
    /// # Errors
    /// The first fault of the form; the same again for each slice after it.
    pub fn feed(&mut self, slice: &[u8], tell: &mut dyn FnMut(FormEvent<'_>)) -> Result<(), FormError> {
        let mut rest = slice;
        while let Some((byte, behind)) = rest.split_first() {
            // The greatest part of a form is content without an end of line.
            if matches!(self.state, State::Content { matched: 0, .. }) {
                let (content, behind) = rest.split_at_checked(line_length(rest)).unwrap_or((rest, &[]));
                if !content.is_empty() {
                    self.keep(content, tell);
                    rest = behind;
                    continue;
                }
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

    /// Ends the form.
    ///
    /// # Errors
    /// The first fault of the form, or that it is not whole.
    pub fn finish(&self) -> Result<(), FormError> {
        match self.state {
            State::End(0 | 2) => Ok(()),
            State::Failed(error) => Err(error),
            _ => Err(FormError::Incomplete),
        }
    }

    fn take(&mut self, byte: u8, at: usize, tell: &mut dyn FnMut(FormEvent<'_>)) -> Result<(), FormError> {
        let delimiter = self.delimiter.bytes().unwrap_or_default();
        self.state = match self.state {
            State::First(matched) if delimiter.get(matched) == Some(&byte) => {
                let matched = matched.saturating_add(1);
                if matched == delimiter.len() { State::Behind } else { State::First(matched) }
            }
            State::Behind => State::BehindByte(byte),
            State::BehindByte(b'\r') if byte == b'\n' => {
                (self.head, self.lines) = (Head::default(), 0);
                self.line.clear();
                State::Line
            }
            State::BehindByte(b'-') if byte == b'-' => {
                tell(FormEvent::End(at));
                State::End(0)
            }
            State::Line if byte == b'\r' => State::LineEnd,
            State::Line if byte != b'\n' && byte != 0 => {
                self.line.push(byte);
                State::Line
            }
            State::LineEnd if byte == b'\n' => self.end_line()?,
            State::Content { matched, from } => return self.take_content(byte, matched, from, tell),
            State::End(matched) if LINE_END.get(matched) == Some(&byte) => {
                State::End(matched.saturating_add(1))
            }
            State::End(_) => return Err(FormError::Trailing),
            State::Failed(error) => return Err(error),
            _ => return Err(FormError::Malformed),
        };
        Ok(())
    }

    /// Ends a line of a head; an empty one ends the head.
    fn end_line(&mut self) -> Result<State, FormError> {
        let line = self.line.bytes().and_then(|line| str::from_utf8(line).ok()).ok_or(FormError::Head)?;
        if line.is_empty() {
            self.field = self.head.end()?;
            self.is_file = self.fields.objects.is_some() && self.head.is_of_file();
            if let Some(field) = self.field.filter(|field| *field < self.fields.names.len()) {
                let bit = u32::try_from(field).ok().and_then(|field| 1u64.checked_shl(field)).unwrap_or(0);
                if bit == 0 || self.seen & bit != 0 {
                    return Err(FormError::Again(field));
                }
                self.seen |= bit;
            }
            self.text.clear();
            // The end of the head is no part of a delimiter, though some readers take it for that.
            return Ok(State::Content { matched: LINE_END.len(), from: LINE_END.len() });
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines > MAX_LINES {
            return Err(FormError::Head);
        }
        self.head.take(line, self.fields)?;
        self.line.clear();
        Ok(State::Line)
    }

    fn take_content(
        &mut self,
        byte: u8,
        matched: usize,
        from: usize,
        tell: &mut dyn FnMut(FormEvent<'_>),
    ) -> Result<(), FormError> {
        let delimiter = self.delimiter.bytes().unwrap_or_default();
        if delimiter.get(matched) == Some(&byte) {
            let matched = matched.saturating_add(1);
            self.state = State::Content { matched, from };
            if matched == delimiter.len() {
                if from != 0 {
                    return Err(FormError::Malformed);
                }
                self.end_part(tell)?;
                self.state = State::Behind;
            }
            return Ok(());
        }
        // A delimiter holds CR and LF at its beginning only, so no other can have begun within it.
        let content = delimiter.get(from..matched).unwrap_or_default();
        if self.field.is_some() {
            self.text.extend(content);
        } else if self.is_file && !content.is_empty() {
            tell(FormEvent::File(content));
        }
        self.state = match byte {
            b'\r' => State::Content { matched: 1, from: 0 },
            b'\n' => State::Content { matched: 2, from: 1 },
            _ => {
                self.keep(&[byte], tell);
                State::Content { matched: 0, from: 0 }
            }
        };
        Ok(())
    }

    fn end_part(&mut self, tell: &mut dyn FnMut(FormEvent<'_>)) -> Result<(), FormError> {
        if std::mem::take(&mut self.is_file) {
            tell(FormEvent::FileEnd);
        }
        let Some(field) = self.field.take() else { return Ok(()) };
        match self.text.bytes() {
            Some(text) => {
                tell(FormEvent::Text(field, str::from_utf8(text).map_err(|_| FormError::NoText(field))?));
            }
            None => tell(FormEvent::Long(field)),
        }
        Ok(())
    }

    fn keep(&mut self, content: &[u8], tell: &mut dyn FnMut(FormEvent<'_>)) {
        if self.field.is_some() {
            self.text.extend(content);
        } else if self.is_file {
            tell(FormEvent::File(content));
        }
    }
}
