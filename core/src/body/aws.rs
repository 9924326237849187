//! The framing of AWS event streams (`application/vnd.amazon.eventstream`), fed slice by slice.
//!
//! The checksum of a prelude is checked, since a wrong length would turn payload into messages. The checksum of a
//! message is not: a reader behind checks it.

use super::text::Text;

/// A part of an event stream of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsPart<'s> {
    /// Bytes of the payload of the message under way.
    Payload(&'s [u8]),
    /// The message under way is complete.
    End,
}

/// The error of bytes that are no event stream of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwsError;

/// The longest type of an event that is told, in bytes.
const MAX_TYPE_BYTES: usize = 64;
/// The bytes of a prelude, with its checksum.
const PRELUDE_BYTES: usize = 12;
/// The bytes of a message that are neither headers nor payload.
const FRAME_BYTES: u32 = 16;
/// The header that holds the type of an event.
const EVENT_TYPE: &[u8] = b":event-type";

/// The framing of one event stream. After an error nothing more is told.
pub struct AwsEvents {
    state: State,
    prelude: [u8; PRELUDE_BYTES],
    /// The bytes of headers to come.
    headers: u32,
    /// The bytes of payload to come.
    payload: u32,
    name: Text<16>,
    event_type: Text<MAX_TYPE_BYTES>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the prelude, of which so many bytes came.
    Prelude(usize),
    /// At the length of a header's name.
    NameLength,
    /// In the name of a header, of which so many bytes are to come.
    Name(u8),
    /// At the type of a header's value.
    Kind,
    /// At the first byte of the length of a value.
    Length,
    /// At the second byte.
    LengthBehind(u8),
    /// In the value of a header, of which so many bytes are to come.
    Value(u16),
    Payload,
    /// In the checksum of the message, of which so many bytes are to come.
    Checksum(u8),
    Failed,
}

impl Default for AwsEvents {
    fn default() -> Self {
        Self {
            state: State::Prelude(0),
            prelude: [0; PRELUDE_BYTES],
            headers: 0,
            payload: 0,
            name: Text::default(),
            event_type: Text::default(),
        }
    }
}

impl AwsEvents {
    /// Takes the next slice, and tells its parts in order. `tell` gets the type of the event, too: `None` where it has
    /// none, as an error has.
    ///
    /// # Errors
    /// The slice, or one before it, is not of an event stream.
    pub fn feed(
        &mut self,
        slice: &[u8],
        tell: &mut dyn FnMut(AwsPart<'_>, Option<&str>),
    ) -> Result<(), AwsError> {
        let mut rest = slice;
        while let Some((byte, behind)) = rest.split_first() {
            if self.state == State::Payload {
                let length = usize::try_from(self.payload).unwrap_or(usize::MAX).min(rest.len());
                let (payload, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                tell(AwsPart::Payload(payload), self.event_type.text());
                self.payload = self.payload.saturating_sub(u32::try_from(length).unwrap_or(u32::MAX));
                self.end_payload();
                rest = behind;
                continue;
            }
            rest = behind;
            if let Err(error) = self.take(*byte, tell) {
                self.state = State::Failed;
                return Err(error);
            }
        }
        if self.state == State::Failed { Err(AwsError) } else { Ok(()) }
    }

    /// Returns whether the stream is between two messages.
    pub fn is_between(&self) -> bool {
        self.state == State::Prelude(0)
    }

    fn take(&mut self, byte: u8, tell: &mut dyn FnMut(AwsPart<'_>, Option<&str>)) -> Result<(), AwsError> {
        match self.state {
            State::Prelude(count) => return self.take_prelude(byte, count),
            State::Checksum(1) => {
                tell(AwsPart::End, self.event_type.text());
                self.event_type.clear();
                self.state = State::Prelude(0);
                return Ok(());
            }
            State::Checksum(left) => {
                self.state = State::Checksum(left.saturating_sub(1));
                return Ok(());
            }
            State::Payload | State::Failed => return Err(AwsError),
            _ => {}
        }
        self.headers = self.headers.saturating_sub(1);
        self.take_header(byte)?;
        match (self.headers, self.state) {
            (0, State::NameLength) => {
                self.state = State::Payload;
                self.end_payload();
                Ok(())
            }
            (0, _) => Err(AwsError),
            _ => Ok(()),
        }
    }

    fn take_prelude(&mut self, byte: u8, count: usize) -> Result<(), AwsError> {
        if let Some(place) = self.prelude.get_mut(count) {
            *place = byte;
        }
        let count = count.saturating_add(1);
        self.state = State::Prelude(count);
        if count < PRELUDE_BYTES {
            return Ok(());
        }
        let (lengths, sum) = self.prelude.split_at_checked(8).unwrap_or_default();
        if crc32(lengths) != number(sum) {
            return Err(AwsError);
        }
        let (total, headers) = lengths.split_at_checked(4).unwrap_or_default();
        self.headers = number(headers);
        let inner = number(total).checked_sub(FRAME_BYTES).ok_or(AwsError)?;
        self.payload = inner.checked_sub(self.headers).ok_or(AwsError)?;
        self.state = if self.headers == 0 { State::Payload } else { State::NameLength };
        self.end_payload();
        Ok(())
    }

    fn take_header(&mut self, byte: u8) -> Result<(), AwsError> {
        self.state = match self.state {
            State::NameLength if byte == 0 => return Err(AwsError),
            State::NameLength => {
                self.name.clear();
                State::Name(byte)
            }
            State::Name(left) => {
                self.name.push(byte);
                if left > 1 { State::Name(left.saturating_sub(1)) } else { State::Kind }
            }
            State::Kind => {
                if self.is_event_type() {
                    self.event_type.clear();
                }
                // The types of values: flags, integers, bytes, text, a time, a UUID.
                match byte {
                    0 | 1 => State::NameLength,
                    2 => State::Value(1),
                    3 => State::Value(2),
                    4 => State::Value(4),
                    5 | 8 => State::Value(8),
                    6 | 7 => State::Length,
                    9 => State::Value(16),
                    _ => return Err(AwsError),
                }
            }
            State::Length => State::LengthBehind(byte),
            State::LengthBehind(first) => match u16::from_be_bytes([first, byte]) {
                0 => State::NameLength,
                length => State::Value(length),
            },
            State::Value(left) => {
                if self.is_event_type() {
                    self.event_type.push(byte);
                }
                if left > 1 { State::Value(left.saturating_sub(1)) } else { State::NameLength }
            }
            _ => return Err(AwsError),
        };
        Ok(())
    }

    fn is_event_type(&self) -> bool {
        self.name.bytes() == Some(EVENT_TYPE)
    }

    fn end_payload(&mut self) {
        if self.state == State::Payload && self.payload == 0 {
            self.state = State::Checksum(4);
        }
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte))
}

/// Returns the CRC-32 of a few bytes (ISO 3309), without a table.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !sum
}
