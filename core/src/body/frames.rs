//! The framing of WebSocket messages (RFC 6455 section 5), fed slice by slice.
//!
//! Binary messages are told as text ones are: some APIs send JSON as binary. Control frames are passed over, also between
//! the fragments of a message. Compressed messages (RFC 7692) are not read.

/// The side that sends the frames: a client masks them, a server does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// A part of the messages of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessagePart<'s> {
    /// Bytes of the text message under way, without the mask.
    Data(&'s [u8]),
    /// Bytes of the binary message under way, without the mask.
    Binary(&'s [u8]),
    /// The message under way is complete.
    End,
}

/// The error of frames that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The message is compressed.
    Compressed,
    /// Bytes that are no frame of this sender.
    Malformed,
}

/// The longest head of a frame, in bytes: two, eight of length and four of mask.
const MAX_HEAD_BYTES: usize = 14;
/// The bytes that are freed of their mask at a time.
const UNMASKED_BYTES: usize = 256;

/// The framing of the messages of one side. After an error nothing more is told.
pub struct Frames {
    sender: Sender,
    head: [u8; MAX_HEAD_BYTES],
    head_length: usize,
    /// The frame whose payload is under way.
    frame: Option<Frame>,
    /// Set where a message has begun, and further fragments have to follow.
    is_fragmented: bool,
    /// Set where the message under way is binary.
    is_binary: bool,
    failed: Option<FrameError>,
}

#[derive(Clone, Copy)]
struct Frame {
    /// The bytes of payload to come.
    left: u64,
    /// Set for a frame that holds data of a message.
    is_data: bool,
    is_last: bool,
    mask: [u8; 4],
}

impl Frames {
    /// Makes the framing of what one side sends.
    pub fn new(sender: Sender) -> Self {
        let head = [0; MAX_HEAD_BYTES];
        Self {
            sender,
            head,
            head_length: 0,
            frame: None,
            is_fragmented: false,
            is_binary: false,
            failed: None,
        }
    }

    /// Takes the next slice, and tells its parts in order.
    ///
    /// # Errors
    /// The first fault; the same again for each slice after it.
    pub fn feed(&mut self, slice: &[u8], tell: &mut dyn FnMut(MessagePart<'_>)) -> Result<(), FrameError> {
        let mut rest = slice;
        while self.failed.is_none() {
            if let Some(frame) = self.frame {
                let length = usize::try_from(frame.left).unwrap_or(usize::MAX).min(rest.len());
                let (payload, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                rest = behind;
                self.take_payload(frame, payload, tell);
                if rest.is_empty() && self.frame.is_some() {
                    break;
                }
            } else {
                let Some((byte, behind)) = rest.split_first() else { break };
                rest = behind;
                self.failed = self.take_head(*byte).err();
            }
        }
        self.failed.map_or(Ok(()), Err)
    }

    /// Takes the next byte of a frame's head.
    fn take_head(&mut self, byte: u8) -> Result<(), FrameError> {
        if let Some(place) = self.head.get_mut(self.head_length) {
            *place = byte;
        }
        self.head_length = self.head_length.saturating_add(1);
        let [first, second, ..] = self.head;
        if self.head_length < 2 {
            return Ok(());
        }
        let is_masked = second & 0x80 != 0;
        if is_masked != (self.sender == Sender::Client) {
            return Err(FrameError::Malformed);
        }
        let length_bytes = match second & 0x7f {
            127 => 8,
            126 => 2,
            _ => 0usize,
        };
        let mask_bytes = if is_masked { 4 } else { 0 };
        if self.head_length < length_bytes.saturating_add(mask_bytes).saturating_add(2) {
            return Ok(());
        }
        let (length, mask) = self.length_and_mask(length_bytes);
        self.head_length = 0;
        self.begin_frame(first, length.ok_or(FrameError::Malformed)?, mask)
    }

    /// Returns the length of the payload, and the mask. A length in more bytes than it needs is none.
    fn length_and_mask(&self, length_bytes: usize) -> (Option<u64>, [u8; 4]) {
        let [_, second, rest @ ..] = self.head;
        let (length, mask) = rest.split_at_checked(length_bytes).unwrap_or((&rest, &[]));
        let told = length.iter().fold(0u64, |told, byte| (told << 8) | u64::from(*byte));
        let length = match length_bytes {
            0 => Some(u64::from(second & 0x7f)),
            2 => Some(told).filter(|length| *length > 125),
            _ => Some(told).filter(|length| *length > 0xffff && *length >> 63 == 0),
        };
        (length, mask.first_chunk().copied().unwrap_or_default())
    }

    fn begin_frame(&mut self, first: u8, left: u64, mask: [u8; 4]) -> Result<(), FrameError> {
        let (is_last, opcode) = (first & 0x80 != 0, first & 0x0f);
        match first & 0x70 {
            0 => {}
            // Only the first frame of a message says that it is compressed.
            0x40 if matches!(opcode, 1 | 2) => return Err(FrameError::Compressed),
            _ => return Err(FrameError::Malformed),
        }
        let is_data = match opcode {
            0 if self.is_fragmented => true,
            1 | 2 if !self.is_fragmented => true,
            8..=10 if is_last && left <= 125 => false,
            _ => return Err(FrameError::Malformed),
        };
        if opcode != 0 && is_data {
            self.is_binary = opcode == 2;
        }
        if is_data {
            self.is_fragmented = !is_last;
        }
        self.frame = Some(Frame { left, is_data, is_last, mask });
        Ok(())
    }

    fn part<'p>(&self, payload: &'p [u8]) -> MessagePart<'p> {
        if self.is_binary { MessagePart::Binary(payload) } else { MessagePart::Data(payload) }
    }

    /// Takes the next bytes of a frame's payload, and ends the frame behind the last.
    fn take_payload(&mut self, mut frame: Frame, payload: &[u8], tell: &mut dyn FnMut(MessagePart<'_>)) {
        if frame.is_data {
            match self.sender {
                Sender::Server if payload.is_empty() => {}
                Sender::Server => tell(self.part(payload)),
                Sender::Client => unmask(payload, &mut frame.mask, &mut |plain| tell(self.part(plain))),
            }
        }
        frame.left = frame.left.saturating_sub(u64::try_from(payload.len()).unwrap_or(u64::MAX));
        self.frame = Some(frame).filter(|frame| frame.left > 0);
        if self.frame.is_none() && frame.is_data && frame.is_last {
            tell(MessagePart::End);
        }
    }
}

/// Tells a payload without its mask, and turns the mask to the byte that follows.
fn unmask(payload: &[u8], mask: &mut [u8; 4], tell: &mut dyn FnMut(&[u8])) {
    for masked in payload.chunks(UNMASKED_BYTES) {
        let mut plain = [0; UNMASKED_BYTES];
        for (place, byte) in plain.iter_mut().zip(masked) {
            *place = byte ^ mask[0];
            mask.rotate_left(1);
        }
        tell(plain.get(..masked.len()).unwrap_or_default());
    }
}
