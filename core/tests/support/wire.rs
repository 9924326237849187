//! Bytes on the wire: event streams of AWS, WebSocket frames, and slices of both.

#![allow(dead_code, reason = "each test file takes what it needs")]

use ct_codecs::{Base64, Encoder as _};
use jwt_simple::reexports::ct_codecs;
use proptest::sample::Index;
use serde_json::{Value, json};

/// Returns the CRC-32 of bytes.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(
            sum ^ u32::from(*byte),
            |sum, _| {
                if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
            },
        )
    })
}

/// Returns a message of an event stream of AWS, with headers of text.
pub(crate) fn aws_message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend(name.as_bytes());
        head.push(7);
        head.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend(value.as_bytes());
    }
    aws_message_of(&head, payload)
}

/// Returns a message of an event stream of AWS, with headers that are encoded already.
pub(crate) fn aws_message_of(head: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    message.extend(u32::try_from(16 + head.len() + payload.len()).unwrap().to_be_bytes());
    message.extend(u32::try_from(head.len()).unwrap().to_be_bytes());
    message.extend(crc32(&message).to_be_bytes());
    message.extend(head);
    message.extend(payload);
    message.extend(crc32(&message).to_be_bytes());
    message
}

/// Returns an event stream of AWS from lines that tell its events.
pub(crate) fn aws_stream(lines: &str) -> Vec<u8> {
    let message = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let payload = match line.get("chunk") {
            Some(chunk) => {
                json!({"bytes": Base64::encode_to_string(chunk.to_string()).unwrap(), "p": "abcdefgh"})
            }
            None => line["payload"].clone(),
        };
        let kind = match line["event"].as_str() {
            Some(event) => [(":event-type", event), (":message-type", "event")],
            None => {
                [(":exception-type", line["exception"].as_str().unwrap()), (":message-type", "exception")]
            }
        };
        let [first, second] = kind;
        aws_message(&[first, (":content-type", "application/json"), second], payload.to_string().as_bytes())
    };
    lines.lines().flat_map(message).collect()
}

/// Returns a WebSocket frame; with a mask, that of a client.
pub(crate) fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(masked | u8::try_from(length).unwrap()),
        length @ 126..=0xffff => {
            frame.push(masked | 0x7e);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(masked | 0x7f);
            frame.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    let mask = mask.inspect(|mask| frame.extend(mask)).unwrap_or_default();
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Returns the frames of messages: text and binary, whole and in fragments, with control frames between.
pub(crate) fn messages(lines: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut frames = Vec::new();
    for (line, number) in lines.lines().zip(0..) {
        let opcode = if number % 2 == 0 { 1 } else { 2 };
        if number % 3 == 0 {
            let (begin, end) = line.as_bytes().split_at(line.len() / 2);
            frames.extend(frame(opcode, begin, mask));
            frames.extend(frame(0x89, b"{\"usage\":{\"input_tokens\":9}}", mask));
            frames.extend(frame(0, b"", mask));
            frames.extend(frame(0x80, end, mask));
        } else {
            frames.extend(frame(0x80 | opcode, line.as_bytes(), mask));
        }
    }
    frames.extend(frame(0x88, &[3, 232], mask));
    frames
}

/// Returns the slices of bytes between cuts.
pub(crate) fn slices<'b>(bytes: &'b [u8], cuts: &[Index]) -> Vec<&'b [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}
