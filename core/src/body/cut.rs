//! The cut of events out of a stream. An event is held until it is known to stay; every other byte passes as it came.

/// The longest event that is held, in bytes. A longer one stays: the chunk that tells usage has a few hundred bytes.
const MAX_HELD_BYTES: usize = 4096;

/// The part of a slice that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The slice goes on as it is.
    Pass,
    /// The bytes that were put out go on in place of the slice.
    Replace,
}

/// The knife of one stream.
#[derive(Default)]
pub(super) struct Cut {
    /// The bytes of the event under way that have not gone on.
    held: Vec<u8>,
    /// Set where the event under way stays.
    stays: bool,
    /// Set behind an event that ended with CR: an LF that follows belongs to it. The value says whether it was cut.
    behind_cr: Option<bool>,
}

/// The edit of one slice.
pub(super) struct EditOf<'s> {
    cut: &'s mut Cut,
    slice: &'s [u8],
    out: &'s mut Vec<u8>,
    /// The bytes of the slice that were dealt with.
    done: usize,
    /// The beginning of the event under way in the slice.
    event: usize,
    is_edited: bool,
}

impl Cut {
    /// Begins the next slice. The bytes that go on in its place are put out.
    pub(super) fn begin<'s>(&'s mut self, slice: &'s [u8], out: &'s mut Vec<u8>) -> EditOf<'s> {
        let is_edited = !self.held.is_empty();
        let mut begun = EditOf { cut: self, slice, out, done: 0, event: 0, is_edited };
        if let Some(byte) = slice.first()
            && let Some(is_cut) = begun.cut.behind_cr.take()
            && *byte == b'\n'
        {
            begun.event = 1;
            if is_cut {
                (begun.done, begun.is_edited) = (1, true);
            }
        }
        begun
    }

    /// Ends the stream. The event under way is put out, or cut.
    pub(super) fn finish(&mut self, is_cut: bool, out: &mut Vec<u8>) {
        if !is_cut {
            out.append(&mut self.held);
        }
        self.held = Vec::new();
    }
}

impl EditOf<'_> {
    /// Ends the event under way, in front of a place of the slice.
    pub(super) fn end_event(&mut self, at: usize, is_cut: bool) {
        let length = self.cut.held.len().saturating_add(at.saturating_sub(self.event));
        let is_cut = is_cut && !self.cut.stays && length <= MAX_HELD_BYTES;
        let ends_with_cr = at.checked_sub(1).and_then(|last| self.slice.get(last)) == Some(&b'\r');
        let end = match self.slice.get(at) {
            Some(b'\n') if ends_with_cr => at.saturating_add(1),
            None if ends_with_cr => {
                self.cut.behind_cr = Some(is_cut);
                at
            }
            _ => at,
        };
        if is_cut {
            self.put(self.event);
            self.cut.held.clear();
            (self.done, self.is_edited) = (end, true);
        } else {
            self.out.append(&mut self.cut.held);
        }
        self.event = end;
        self.cut.stays = false;
    }

    /// Ends the slice. `may_go` is set where the event under way may turn out to be one that is cut.
    pub(super) fn end(mut self, may_go: bool) -> Edit {
        let tail = self.slice.get(self.event..).unwrap_or_default();
        let length = self.cut.held.len().saturating_add(tail.len());
        self.cut.stays |= !may_go || length > MAX_HELD_BYTES;
        if self.cut.stays {
            self.out.append(&mut self.cut.held);
        } else if !tail.is_empty() {
            self.put(self.event);
            self.cut.held.extend_from_slice(tail);
            (self.done, self.is_edited) = (self.slice.len(), true);
        }
        if !self.is_edited {
            return Edit::Pass;
        }
        self.put(self.slice.len());
        Edit::Replace
    }

    /// Puts out the bytes in front of a place that were not dealt with.
    fn put(&mut self, end: usize) {
        self.out.extend_from_slice(self.slice.get(self.done..end).unwrap_or_default());
        self.done = self.done.max(end);
    }
}
