//! The body of a request that must say something: judged at the byte that makes it useful upstream.

use super::names::Names;
use crate::answer::CheckError;
use crate::base::Digest;
use crate::body::{Asked, RequestBody, Splice, Splices, begin_of_json};
use crate::judge::admit::{BodyForm, BodyRule, ModelRule, UnreadBody};
use crate::request::RequestHead;

/// A slice of a body that may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slice {
    /// As it is.
    Same,
    /// These bytes in its place.
    Other(Vec<u8>),
}

/// The judge of one body.
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub(crate) struct RequestJudge {
    rule: BodyRule,
    body: RequestBody,
    bytes: u64,
    names: Names,
    /// The number of objects that were checked, which come first.
    checked: usize,
    /// Set while the body may still be binary: the head says that it is.
    may_be_binary: bool,
    /// Set where an unreadable body is not refused: then it goes on unread.
    is_lenient: bool,
    is_unread: bool,
    /// The first error: nothing goes on behind it.
    error: Option<CheckError<'static>>,
}

impl RequestJudge {
    pub(crate) fn new(rule: &BodyRule, unread: UnreadBody, head: &RequestHead<'_>) -> Self {
        let UnreadBody { scanner: body, may_be_binary } = unread;
        Self {
            may_be_binary,
            is_lenient: !rule.is_strict(head),
            rule: rule.clone(),
            body,
            bytes: 0,
            names: Names::new(),
            checked: 0,
            is_unread: false,
            error: None,
        }
    }

    /// Makes a judge of the same body, from its beginning; `None` where the body is not read.
    pub(crate) fn again(&self, head: &RequestHead<'_>) -> Option<Self> {
        let body = self.rule.scanner(head).ok().flatten()?;
        Some(Self::new(&self.rule, body, head))
    }

    /// Judges the next slice. `is_last` says that nothing follows it.
    ///
    /// # Errors
    /// The reason to refuse the request: nothing of this slice may go on, and nothing after it.
    pub(crate) fn take(&mut self, slice: &[u8], is_last: bool) -> Result<Slice, CheckError<'static>> {
        self.bytes = self.bytes.saturating_add(u64::try_from(slice.len()).unwrap_or(u64::MAX));
        if self.may_be_binary {
            match begin_of_json(slice) {
                [] => self.is_unread = is_last,
                [b'{' | b'[', ..] => self.may_be_binary = false,
                _ => (self.may_be_binary, self.is_unread) = (false, true),
            }
        }
        if self.is_unread || self.may_be_binary {
            return Ok(Slice::Same);
        }
        let judged = self.error.map_or_else(|| self.judge(slice, is_last), Err);
        match judged {
            Err(CheckError::BodyInvalid(_)) if self.is_lenient => {
                self.is_unread = true;
                Ok(Slice::Same)
            }
            judged => {
                self.error = judged.as_ref().err().copied();
                judged
            }
        }
    }

    /// Returns whether the body can have its request refused.
    pub(crate) fn is_strict(&self) -> bool {
        !self.is_lenient
    }

    /// Returns whether the rest of the body goes on unread.
    pub(crate) fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// Returns whether the body is the messages of a WebSocket.
    pub(crate) fn is_upgrade(&self) -> bool {
        self.rule.form() == BodyForm::Messages
    }

    /// Checks a model as if the body named it.
    pub(crate) fn check_model(&self, model: &str) -> Result<(), CheckError<'static>> {
        self.rule.models.as_ref().map_or(Ok(()), |models| models.check_model(model))
    }

    /// Returns the words for a refusal.
    pub(crate) fn words(&self) -> Option<String> {
        self.rule.models.as_ref().map(ModelRule::words)
    }

    /// Returns whether everything that the body can say is known.
    pub(crate) fn is_over(&self) -> bool {
        self.is_unread || self.body.is_over()
    }

    /// Returns what the request asks for.
    pub(crate) fn asked(&self) -> Asked {
        let asked = self.body.asked();
        Asked { store: self.names.keeps.then_some(true).or(asked.store), ..asked }
    }

    /// Returns the models that the body names, where its usage is metered.
    pub(crate) fn models(&self) -> impl Iterator<Item = &str> {
        self.names.models.iter().map(String::as_str)
    }

    /// Returns the objects that the body names so far and that were not checked.
    pub(crate) fn objects(&self) -> &[Digest] {
        self.names.objects.get(self.checked..).unwrap_or_default()
    }

    /// Notes that those objects were checked.
    pub(crate) fn objects_checked(&mut self) {
        // A message that follows is a request of its own.
        if self.is_over() {
            self.names.objects.clear();
        }
        self.checked = self.names.objects.len();
    }

    /// Returns the bytes that have come.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn judge(&mut self, slice: &[u8], is_last: bool) -> Result<Slice, CheckError<'static>> {
        let Self { rule, body, names, .. } = self;
        let mut fault = None;
        let fed = body.feed(slice, &mut |named| fault = fault.or(names.take(named, rule).err()));
        let splices = fed.map_err(CheckError::BodyInvalid)?;
        if let Some(fault) = fault {
            return Err(fault);
        }
        if self.body.asked().is_batch {
            self.names.take_file()?;
        }
        if is_last && self.bytes > 0 && !self.body.is_over() {
            self.body.finish().map_err(CheckError::BodyInvalid)?;
        }
        // A request without a body, or with an empty object, names nothing and computes nothing.
        let is_complete = self.body.is_over() && self.body.asked().has_members;
        // The messages of a WebSocket follow each other, and each ends by itself.
        if is_complete && !self.is_upgrade() {
            self.names.end_part(&self.rule)?;
        }
        if is_complete && self.rule.needs_model && !self.names.any {
            return Err(CheckError::ModelMissing);
        }
        Ok(with(slice, &splices))
    }
}

/// Returns a slice with what is added to it.
fn with(slice: &[u8], splices: &Splices) -> Slice {
    if splices.iter().all(Option::is_none) {
        return Slice::Same;
    }
    let mut bytes = Vec::with_capacity(slice.len().saturating_add(64));
    let mut from = 0;
    for Splice { at, length, text } in splices.iter().flatten() {
        bytes.extend_from_slice(slice.get(from..*at).unwrap_or_default());
        bytes.extend_from_slice(text.as_bytes());
        from = at.saturating_add(*length);
    }
    bytes.extend_from_slice(slice.get(from..).unwrap_or_default());
    Slice::Other(bytes)
}
