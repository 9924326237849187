//! The body of a request in the form that its head says: one JSON text, a form in parts, or WebSocket messages.

use super::begin::begin_of_json;
use super::frames::{Frames, MessagePart, Sender};
use super::lines::Lines;
use super::multipart::{FormEvent, Multipart};
use super::named::Named;
use super::request::{Asked, BodyError, RequestScanner, Splices};
use crate::provider::form::Form;
use crate::provider::limits::OutputLimits;
use crate::provider::objects::{Sought, is_batch_purpose};

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestForm<'c> {
    /// One JSON text.
    Json,
    /// A form in parts, with its content type.
    Parts(&'c str),
    /// The messages of a WebSocket.
    Messages,
}

/// The fields of a form that are looked at.
const FIELDS: &[&str] = &["model", "model_id", "stream", "n"];
const MODEL_FIELDS: usize = 2;
const STREAM_FIELD: usize = 2;
const COUNT_FIELD: usize = 3;

/// The number of bytes at the beginning of a binary message that tell text from sound.
const LOOKED_AT: usize = 16;

/// A scanner of the body of one request.
pub struct RequestBody(Kind);

enum Kind {
    Json(Box<RequestScanner>),
    Parts(Box<Parts>),
    Messages(Box<Messages>),
}

struct Parts {
    form: Multipart,
    objects: Option<Sought>,
    asked: Asked,
    is_over: bool,
    /// The lines of a file, unless it has another purpose than a batch.
    lines: Option<Lines>,
    has_purpose: bool,
}

struct Messages {
    objects: Option<Sought>,
    limits: OutputLimits,
    frames: Frames,
    message: Message,
    asked: Asked,
    /// Set once a message has ended that was not blank.
    has_ended: bool,
}

/// The message under way.
enum Message {
    /// Nothing but white space came.
    Blank,
    /// The beginning of a binary message that may be an object, which is not long enough to tell.
    Begun(Vec<u8>),
    /// An object: other messages, such as sound, name nothing.
    Json(Box<RequestScanner>),
    Other,
}

impl RequestBody {
    /// Makes a scanner. `asks_usage` adds `stream_options.include_usage` to a JSON request for a stream that says nothing of
    /// it.
    ///
    /// # Errors
    /// The content type of a form that has no boundary.
    pub fn new(form: RequestForm<'_>, asks_usage: bool) -> Result<Self, BodyError> {
        Self::telling(form, asks_usage, None, OutputLimits::ALL)
    }

    /// Makes a scanner that tells the objects, too, which the body names. `limits` are those of the output that the endpoint reads.
    ///
    /// # Errors
    /// The content type of a form that has no boundary.
    pub(crate) fn telling(
        form: RequestForm<'_>,
        asks_usage: bool,
        objects: Option<Sought>,
        limits: OutputLimits,
    ) -> Result<Self, BodyError> {
        let asked = Asked { count: 1, ..Asked::default() };
        Ok(Self(match form {
            RequestForm::Json => {
                let scanner = RequestScanner::new(asks_usage).telling(objects).limited_by(limits);
                Kind::Json(Box::new(scanner))
            }
            RequestForm::Parts(content_type) => {
                let form = Multipart::new(content_type, FIELDS).map_err(BodyError::Form)?;
                let form = form.telling(objects.map(|sought| sought.table));
                let lines = objects.and_then(Lines::new);
                let parts = Parts { form, objects, asked, is_over: false, lines, has_purpose: false };
                Kind::Parts(Box::new(parts))
            }
            RequestForm::Messages => {
                let frames = Frames::new(Sender::Client);
                Kind::Messages(Box::new(Messages {
                    objects,
                    limits,
                    frames,
                    message: Message::Blank,
                    asked,
                    has_ended: false,
                }))
            }
        }))
    }

    /// Asks a stream for its usage also where the request says no: see [`RequestScanner::overruling`].
    #[must_use]
    pub fn overruling(self) -> Self {
        match self.0 {
            Kind::Json(scanner) => Self(Kind::Json(Box::new(scanner.overruling()))),
            other => Self(other),
        }
    }

    /// Returns what the request asks for, as far as it is known; of a WebSocket what the last message asks for.
    pub fn asked(&self) -> Asked {
        match &self.0 {
            Kind::Json(scanner) => scanner.asked(),
            Kind::Parts(parts) => parts.asked,
            Kind::Messages(messages) => messages.asked,
        }
    }

    /// Returns whether everything is known: the byte that closes the body has come, or the first message has ended.
    pub fn is_over(&self) -> bool {
        match &self.0 {
            Kind::Json(scanner) => scanner.is_over(),
            Kind::Parts(parts) => parts.is_over,
            Kind::Messages(messages) => messages.has_ended,
        }
    }

    /// Takes the next slice. `tell` gets every model and provider that is named, as it comes. Returns what to add to the
    /// slice.
    ///
    /// # Errors
    /// The first error of the body. Nothing of this slice may go on.
    pub fn feed(&mut self, slice: &[u8], tell: &mut dyn FnMut(Named<'_>)) -> Result<Splices, BodyError> {
        match &mut self.0 {
            Kind::Json(scanner) => scanner.feed(slice, tell),
            Kind::Parts(parts) => parts.feed(slice, tell).map(|()| Splices::default()),
            Kind::Messages(messages) => messages.feed(slice, tell).map(|()| Splices::default()),
        }
    }

    /// Ends the body. A WebSocket may end anywhere.
    ///
    /// # Errors
    /// The error of a body that broke off.
    pub fn finish(&mut self) -> Result<(), BodyError> {
        match &mut self.0 {
            Kind::Json(scanner) => scanner.finish(),
            Kind::Parts(parts) => parts.form.finish().map_err(BodyError::Form),
            Kind::Messages(_) => Ok(()),
        }
    }
}

impl Parts {
    fn feed(&mut self, slice: &[u8], tell: &mut dyn FnMut(Named<'_>)) -> Result<(), BodyError> {
        let Self { form, objects, asked, is_over, lines, has_purpose } = self;
        let members = objects.map_or(&[][..], |sought| sought.table.members);
        let mut error = None;
        let fed = form.feed(slice, &mut |event| match event {
            FormEvent::Text(field, text) if field < MODEL_FIELDS => {
                asked.has_members = true;
                tell(Named::Model(text));
                let models = members.iter().filter(|member| member.name == "model");
                models.filter_map(|member| member.form.id_in(text)).for_each(|id| tell(Named::Object(id)));
            }
            FormEvent::Text(STREAM_FIELD, text) => asked.stream = text == "true",
            FormEvent::Text(COUNT_FIELD, text) => {
                asked.count = text.trim().parse().unwrap_or(1).max(asked.count);
            }
            FormEvent::Text(field, text) => {
                let member = field.checked_sub(FIELDS.len()).and_then(|member| members.get(member));
                if member.is_some_and(|member| member.form == Form::Purpose) {
                    lines.take_if(|_| !is_batch_purpose(text));
                    asked.is_batch = lines.is_some();
                    // Of two purposes upstream reads one.
                    if std::mem::replace(has_purpose, true) {
                        error = Some(BodyError::Twice);
                    }
                }
                if let Some(id) = member.and_then(|member| member.form.id_in(text)) {
                    tell(Named::Object(id));
                }
            }
            FormEvent::Long(_) => error = Some(BodyError::NoText),
            FormEvent::File(data) => lines.iter_mut().for_each(|lines| lines.feed(data, tell)),
            FormEvent::FileEnd => lines.iter_mut().for_each(Lines::end),
            FormEvent::End(_) => {
                asked.has_members = true;
                *is_over = true;
            }
        });
        fed.map_err(BodyError::Form)?;
        if *is_over && asked.is_batch {
            error = error.or(lines.as_ref().and_then(Lines::error));
        }
        error.map_or(Ok(()), Err)
    }
}

impl Messages {
    fn feed(&mut self, slice: &[u8], tell: &mut dyn FnMut(Named<'_>)) -> Result<(), BodyError> {
        let Self { frames, message, asked, has_ended, objects, limits } = self;
        let scanner = || RequestScanner::message().telling(*objects).limited_by(*limits);
        let mut error = None;
        let fed = frames.feed(slice, &mut |part| {
            let taken = match part {
                _ if error.is_some() => Ok(()),
                MessagePart::Data(data) => message.take(data, false, scanner, tell),
                MessagePart::Binary(data) => message.take(data, true, scanner, tell),
                MessagePart::End => message.decide(scanner, tell).and_then(|()| {
                    let ended = std::mem::replace(message, Message::Blank);
                    *has_ended |= !matches!(ended, Message::Blank);
                    let Message::Json(mut scanner) = ended else { return Ok(()) };
                    *asked = scanner.asked();
                    tell(Named::End);
                    scanner.finish()
                }),
            };
            error = error.or(taken.err());
        });
        fed.map_err(BodyError::Frames)?;
        error.map_or(Ok(()), Err)
    }
}

impl Message {
    fn take(
        &mut self,
        data: &[u8],
        is_binary: bool,
        scanner: impl Fn() -> RequestScanner,
        tell: &mut dyn FnMut(Named<'_>),
    ) -> Result<(), BodyError> {
        if let Self::Blank = self {
            *self = match begin_of_json(data) {
                [] => return Ok(()),
                [b'{', ..] if is_binary => Self::Begun(Vec::with_capacity(LOOKED_AT)),
                [b'{', ..] => Self::Json(Box::new(scanner())),
                _ => Self::Other,
            };
        }
        let mut rest = data;
        if let Self::Begun(begin) = self {
            let room = LOOKED_AT.saturating_sub(begin.len());
            let (front, behind) = data.split_at_checked(room).unwrap_or((data, &[]));
            begin.extend_from_slice(front);
            if begin.len() < LOOKED_AT {
                return Ok(());
            }
            self.decide(scanner, tell)?;
            rest = behind;
        }
        match self {
            Self::Json(scanner) => scanner.feed(rest, tell).map(|_| ()),
            Self::Blank | Self::Begun(_) | Self::Other => Ok(()),
        }
    }

    /// Decides what a message is of which nothing more has to be seen.
    fn decide(
        &mut self,
        scanner: impl Fn() -> RequestScanner,
        tell: &mut dyn FnMut(Named<'_>),
    ) -> Result<(), BodyError> {
        let Self::Begun(begin) = self else { return Ok(()) };
        let begin = std::mem::take(begin);
        if !is_text(&begin) {
            *self = Self::Other;
            return Ok(());
        }
        let mut scanner = Box::new(scanner());
        let fed = scanner.feed(&begin, tell).map(|_| ());
        *self = Self::Json(scanner);
        fed
    }
}

/// Returns whether a binary message begins as a JSON object does, in any encoding. Sound may begin with the same byte, but soon has
/// bytes that no text has.
fn is_text(data: &[u8]) -> bool {
    let narrow: Vec<u8> = data.iter().copied().filter(|byte| *byte != 0).collect();
    let begin = begin_of_json(&narrow);
    let is_odd = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    let is_cut = |error: std::str::Utf8Error| error.error_len().is_none();
    let behind = begin.get(1..).unwrap_or_default().trim_ascii_start();
    matches!(behind, [] | [b'"' | b'}', ..])
        && str::from_utf8(begin).map_or_else(is_cut, |_| true)
        && begin.iter().filter(|byte| is_odd(byte)).count() < 2
}
