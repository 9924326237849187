//! The ids of objects in an answer: of the one that was made, and of those that were made on the way.

use super::follower::Follower;
use super::form::Form;
use super::grammar::{Event, JsonError, Scalar};
use super::paths::Paths;
use super::reader::{Chunk, Texts};

/// An id that an answer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MadeId {
    /// The number of the path at which it stands.
    pub(crate) path: usize,
    pub(crate) id: String,
}

/// A scanner of one answer.
pub(crate) struct MadeScanner {
    form: Form,
    reader: Ids,
}

struct Ids {
    follower: Follower,
    /// The number of paths.
    paths: usize,
    has_begun: bool,
    is_faulty: bool,
    /// Set once a text has ended.
    has_ended: bool,
    found: Vec<MadeId>,
}

impl MadeScanner {
    /// Makes a scanner of an answer; `None` where no id can be read in an answer of this form.
    pub(crate) fn new(status: u16, content_type: &str, paths: Paths) -> Option<Self> {
        let form = Form::of(status, content_type);
        let reader = Ids {
            follower: Follower::new(paths),
            paths: paths.len(),
            has_begun: false,
            is_faulty: false,
            has_ended: false,
            found: Vec::new(),
        };
        (!matches!(form, Form::Unread)).then_some(Self { form, reader })
    }

    /// Takes the next slice. Returns the ids in it.
    pub(crate) fn feed(&mut self, slice: &[u8]) -> Vec<MadeId> {
        if self.form.feed(&mut self.reader, None, slice, &mut Vec::new()).is_err() {
            self.form = Form::Unread;
        }
        std::mem::take(&mut self.reader.found)
    }

    /// Returns whether the answer is a stream, whose end no text tells.
    pub(crate) fn is_stream(&self) -> bool {
        self.form.is_stream()
    }

    /// Returns whether the answer is one text, which has ended, so that a client may act on it.
    pub(crate) fn is_over(&self) -> bool {
        self.reader.has_ended && !self.form.is_stream()
    }
}

impl Texts for Ids {
    fn feed(&mut self, slice: &[u8]) {
        if self.is_faulty || slice.is_empty() {
            return;
        }
        self.has_begun = true;
        let Self { follower, found, has_ended, paths, .. } = self;
        let fed = follower.feed(slice, &mut |event| match event {
            Event::Scalar(path, Scalar::Text(id)) if path < *paths => {
                found.push(MadeId { path, id: id.to_owned() });
            }
            Event::End(_) => *has_ended = true,
            _ => {}
        });
        self.is_faulty = fed.is_err();
    }

    fn end_text(&mut self) -> Result<Chunk, JsonError> {
        if std::mem::take(&mut self.has_begun) {
            self.is_faulty = false;
            self.follower.restart();
        }
        Ok(Chunk::default())
    }

    fn may_tell_usage_only(&self) -> bool {
        false
    }
}
