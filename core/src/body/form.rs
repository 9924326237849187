//! The forms of an answer's body: the framing that splits it into JSON texts.

use super::aws::{AwsEvents, AwsPart};
use super::base64::Base64;
use super::cut::{Cut, Edit};
use super::events::{Events, Part};
use super::follower::Follower;
use super::frames::{FrameError, Frames, MessagePart, Sender};
use super::grammar::Event;
use super::paths::{Paths, Shape};
use super::reader::{Chunk, Texts};
use crate::base::bytes::line_length;

/// A form, and the state of its framing.
pub(super) enum Form {
    /// One JSON text.
    Json,
    /// A JSON text a line.
    Lines,
    /// Server-sent events.
    Events(Box<Events>),
    /// An event stream of AWS.
    Aws(Box<Aws>),
    /// WebSocket messages.
    Messages(Box<Frames>),
    /// A form that tells no usage.
    Unread,
}

/// The reason why a body cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Encoded,
    Broken,
}

impl Form {
    /// Returns the form that the status and the content type of an answer say.
    pub(super) fn of(status: u16, content_type: &str) -> Self {
        if status == 101 {
            return Self::Messages(Box::new(Frames::new(Sender::Server)));
        }
        let media_type = media_type(content_type).to_ascii_lowercase();
        let Some((_, subtype)) = media_type.split_once('/') else { return Self::Unread };
        match subtype {
            "event-stream" => Self::Events(Box::default()),
            "x-ndjson" | "ndjson" | "jsonl" | "x-jsonl" | "jsonlines" | "x-jsonlines" | "stream+json" => {
                Self::Lines
            }
            "vnd.amazon.eventstream" => Self::Aws(Box::new(Aws::new())),
            "json" => Self::Json,
            _ if subtype.ends_with("+json") => Self::Json,
            _ => Self::Unread,
        }
    }

    /// Returns whether each text of the body is an answer of its own, so that the usages add up.
    pub(super) fn adds_up(&self) -> bool {
        matches!(self, Self::Lines | Self::Messages(_))
    }

    /// Returns whether the body is a stream of texts, of which one may be unreadable.
    pub(super) fn is_stream(&self) -> bool {
        !matches!(self, Self::Json)
    }

    /// Returns whether the body may end here.
    pub(super) fn may_end(&self) -> bool {
        match self {
            Self::Aws(aws) => aws.events.is_between(),
            Self::Unread => false,
            _ => true,
        }
    }

    /// Takes the next slice of the body, and says what goes on.
    ///
    /// # Errors
    /// The body cannot be read on from here. All of it passes.
    pub(super) fn feed(
        &mut self,
        reader: &mut dyn Texts,
        cut: Option<&mut Cut>,
        slice: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Edit, Unreadable> {
        match self {
            Self::Json => reader.feed(slice),
            Self::Lines => feed_lines(reader, slice),
            Self::Events(events) => return Ok(feed_events(events, reader, cut, slice, out)),
            Self::Aws(aws) => aws.feed(reader, slice)?,
            Self::Messages(frames) => feed_messages(frames, reader, slice)?,
            Self::Unread => {}
        }
        Ok(Edit::Pass)
    }
}

/// Returns the type of a body, without parameters, in the case of its header.
pub(crate) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn feed_lines(reader: &mut dyn Texts, slice: &[u8]) {
    let mut rest = slice;
    while let Some((line, behind)) = rest.split_at_checked(line_length(rest)) {
        reader.feed(line);
        let Some((_, behind)) = behind.split_first() else { return };
        // A line that is no JSON tells nothing; the next may.
        let _ = reader.end_text();
        rest = behind;
    }
}

fn feed_events(
    events: &mut Events,
    reader: &mut dyn Texts,
    cut: Option<&mut Cut>,
    slice: &[u8],
    out: &mut Vec<u8>,
) -> Edit {
    let mut edit = cut.map(|cut| cut.begin(slice, out));
    events.feed(slice, &mut |part, _| match part {
        Part::Data(data) => reader.feed(data),
        Part::End { at, .. } => {
            // An event that is no JSON, such as `[DONE]`, tells nothing.
            let is_usage_only = reader.end_text().is_ok_and(Chunk::tells_usage_only);
            if let Some(edit) = &mut edit {
                edit.end_event(at, is_usage_only);
            }
        }
    });
    edit.map_or(Edit::Pass, |edit| edit.end(reader.may_tell_usage_only()))
}

fn feed_messages(frames: &mut Frames, reader: &mut dyn Texts, slice: &[u8]) -> Result<(), Unreadable> {
    let fed = frames.feed(slice, &mut |part| match part {
        MessagePart::Data(data) | MessagePart::Binary(data) => reader.feed(data),
        MessagePart::End => {
            let _ = reader.end_text();
        }
    });
    fed.map_err(|error| match error {
        FrameError::Compressed => Unreadable::Encoded,
        FrameError::Malformed => Unreadable::Broken,
    })
}

/// The framing of an event stream of AWS. A `chunk` holds a text of the model's own API, in Base64.
pub(super) struct Aws {
    events: AwsEvents,
    envelope: Follower,
    base64: Base64,
}

const ENVELOPE: Paths = &[&["bytes"]];

impl Aws {
    fn new() -> Self {
        let shape = Shape { paths: ENVELOPE, in_pieces: true, ..Shape::default() };
        Self { events: AwsEvents::default(), envelope: Follower::of(shape), base64: Base64::default() }
    }

    fn feed(&mut self, reader: &mut dyn Texts, slice: &[u8]) -> Result<(), Unreadable> {
        let Self { events, envelope, base64 } = self;
        let mut is_readable = true;
        let fed = events.feed(slice, &mut |part, event_type| match (part, event_type) {
            (AwsPart::Payload(payload), Some("chunk")) => {
                let fed = envelope.feed(payload, &mut |event| {
                    if let Event::Piece(_, text) = event {
                        is_readable &= base64.feed(text, &mut |bytes| reader.feed(bytes)).is_some();
                    }
                });
                is_readable &= fed.is_ok();
            }
            (AwsPart::Payload(payload), _) => reader.feed(payload),
            (AwsPart::End, _) => {
                let _ = reader.end_text();
                envelope.restart();
                *base64 = Base64::default();
            }
        });
        if fed.is_ok() && is_readable { Ok(()) } else { Err(Unreadable::Broken) }
    }
}
