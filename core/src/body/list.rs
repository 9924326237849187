//! The filter of a list: takes the elements out that a caller must not see, with their commas. Every other byte stays.
//!
//! A list is a JSON text with an array of objects, and each object has an id. An element goes unless its id is allowed.
//! So does one that has no id, and one that is so long that its id is not known in time.

use super::follower::Follower;
use super::grammar::{Event, JsonError, Scalar};
use super::paths::Paths;
use super::text::Text;

/// The most bytes of an element that is not yet decided.
pub const MAX_ELEMENT_BYTES: usize = 8192;
/// The longest id that may be allowed, in bytes.
const MAX_ID_BYTES: usize = 256;
/// The place of the word on further elements, behind those of the edges.
const MORE: usize = 2;

/// The places of the elements of a list, and of their ids.
#[derive(Clone, Copy, Debug)]
pub struct Lists {
    /// The paths of the arrays, and behind them those of the ids. Of several ids of an element the first path counts.
    pub paths: Paths,
    /// The number of arrays.
    pub arrays: usize,
    /// Set where the last three paths lead to the ids of the first and the last element, which are replaced where they are not
    /// shown, and to the word on further elements.
    pub has_edges: bool,
    /// Set where nothing but scalars may stand outside of the arrays.
    pub is_alone: bool,
}

impl Lists {
    /// Returns the number of paths that lead to no edge, and to no word on further elements.
    fn inner(&self) -> usize {
        self.paths.len().saturating_sub(if self.has_edges { 3 } else { 0 })
    }
}

/// The lists of models: OpenAI's and Anthropic's, Codex's, others', and Gemini's.
pub const MODELS: Lists = Lists {
    paths: &[
        &["data"],
        &["models"],
        &["data", "*", "id"],
        &["models", "*", "slug"],
        &["models", "*", "id"],
        &["models", "*", "name"],
    ],
    arrays: 2,
    has_edges: false,
    is_alone: false,
};

/// A filter of one list.
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub struct ListFilter {
    follower: Follower,
    lists: Lists,
    state: State,
    /// The separator in front of the element under way, and the element as far as it was read.
    held: Vec<u8>,
    /// The bytes of `held` that are the separator.
    separator: usize,
    /// Set where an element of the array stayed.
    has_kept: bool,
    /// Set where the element under way is the first of its array.
    is_first: bool,
    id: Id,
    /// The ids of the first and the last element that stayed.
    shown: [Text<MAX_ID_BYTES>; 2],
    /// Set where the last byte was in a scalar outside of the arrays, which is held.
    in_scalar: bool,
    /// The elements that may still stay.
    left: Option<u32>,
    /// Set where an element went because there were enough.
    is_cut: bool,
    /// Set once an edge, or the word on further elements, has gone on.
    has_edge: bool,
}

/// The end of a scalar at an edge.
struct Edge {
    /// The first element, the last, or the word on further ones.
    place: usize,
    /// Set where the byte that ended it stands behind it.
    is_behind: bool,
    is_shown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Outside of the arrays.
    Outside,
    /// In an array of this depth, between two elements.
    Between(usize),
    /// In an element that is not decided.
    Undecided(usize),
    /// In an element that stays, or goes.
    Decided(usize, bool),
}

/// The id of the element under way.
#[derive(Default)]
struct Id {
    /// The number of its path.
    path: Option<usize>,
    text: Text<MAX_ID_BYTES>,
    is_ambiguous: bool,
}

impl ListFilter {
    /// Makes a filter.
    pub fn new(lists: Lists) -> Self {
        Self {
            follower: Follower::new(lists.paths),
            lists,
            state: State::Outside,
            held: Vec::new(),
            separator: 0,
            has_kept: false,
            is_first: false,
            id: Id::default(),
            shown: [Text::default(), Text::default()],
            in_scalar: false,
            left: None,
            is_cut: false,
            has_edge: false,
        }
    }

    /// Shows no more than so many elements, and says where there are more.
    #[must_use]
    pub(crate) fn at_most(self, limit: Option<u32>) -> Self {
        Self { left: limit, ..self }
    }

    /// Takes the next slice of the list, and puts out what goes on in its place. `is_allowed` gets the id of an element.
    ///
    /// # Errors
    /// The text is no JSON, or may be understood in two ways. Nothing more of it may go on.
    pub fn feed(
        &mut self,
        slice: &[u8],
        is_allowed: &mut dyn FnMut(&str) -> bool,
        out: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        slice.iter().try_for_each(|byte| self.take(*byte, is_allowed, out))
    }

    /// Ends the list.
    ///
    /// # Errors
    /// The text is not whole.
    pub fn finish(&mut self) -> Result<(), JsonError> {
        self.follower.finish(&mut |_| {})
    }

    fn take(
        &mut self,
        byte: u8,
        is_allowed: &mut dyn FnMut(&str) -> bool,
        out: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        let (arrays, inner, id) = (self.lists.arrays, self.lists.inner(), &mut self.id);
        let (mut opens, mut edge, is_cut) = (false, None, self.is_cut);
        self.follower.feed(&[byte], &mut |event| match event {
            Event::Opens(path) => opens |= path < arrays,
            Event::Scalar(path, scalar) if path >= inner => {
                let place = path.saturating_sub(inner);
                let is_shown = match scalar {
                    _ if place == MORE => !is_cut,
                    Scalar::Text(id) => is_allowed(id) && !is_cut,
                    _ => false,
                };
                edge = Some(Edge { place, is_behind: matches!(scalar, Scalar::Number(_)), is_shown });
            }
            Event::Scalar(path, scalar) if path >= arrays => id.take(path, scalar),
            Event::Again(path) | Event::Alike(path) => id.is_ambiguous |= path >= arrays,
            _ => {}
        })?;
        let depth = self.follower.depth();
        match self.state {
            State::Outside => {
                if opens && byte == b'[' {
                    (self.state, self.has_kept, self.is_first) = (State::Between(depth), false, true);
                } else if self.lists.is_alone && (byte == b'[' || depth > 1) && !self.follower.is_in_scalar()
                {
                    return Err(JsonError::Unexpected);
                }
                self.outside(byte, edge, out);
            }
            State::Between(array) => self.between(byte, array, depth, out),
            State::Undecided(array) | State::Decided(array, _) => {
                self.in_element(byte, array, depth, is_allowed, out);
            }
        }
        Ok(())
    }

    /// Takes a byte outside of the arrays. A scalar that may be an edge is held to its end.
    fn outside(&mut self, byte: u8, edge: Option<Edge>, out: &mut Vec<u8>) {
        let was_in_scalar = std::mem::replace(
            &mut self.in_scalar,
            self.lists.has_edges && self.follower.depth() == 1 && self.follower.is_in_scalar(),
        );
        if self.in_scalar && self.held.len() < MAX_ELEMENT_BYTES {
            return self.held.push(byte);
        }
        let is_behind = edge.as_ref().is_none_or(|edge| edge.is_behind);
        self.has_edge |= edge.is_some();
        if let Some(edge) = edge.filter(|edge| !edge.is_shown) {
            self.held.clear();
            match self.shown.get(edge.place).map(Text::text) {
                None => out.extend_from_slice(b"true"),
                Some(shown) => match shown {
                    Some(id) => out.extend_from_slice(&[b"\"", id.as_bytes(), b"\""].concat()),
                    None => out.extend_from_slice(b"null"),
                },
            }
            if !is_behind {
                return;
            }
        } else if was_in_scalar {
            out.append(&mut self.held);
        }
        out.push(byte);
    }

    /// Returns whether one more element may stay. Where the end of the page was said before its elements, all of them do.
    fn has_room(&mut self) -> bool {
        let Some(left) = self.left.as_mut().filter(|_| !self.has_edge) else { return true };
        self.is_cut |= *left == 0;
        *left = left.saturating_sub(1);
        !self.is_cut
    }

    /// Notes the element that stays, of which the id can be written as it is.
    fn note_shown(&mut self) {
        let id = self.id.text.text().filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic()));
        let Some(id) = id.filter(|id| !id.contains(['"', '\\'])) else { return };
        let [first, last] = &mut self.shown;
        if first.text().is_none() {
            first.extend(id.as_bytes());
        }
        last.clear();
        last.extend(id.as_bytes());
    }

    /// Takes a byte between two elements: the separator is held, since it goes with the element that follows.
    fn between(&mut self, byte: u8, array: usize, depth: usize, out: &mut Vec<u8>) {
        match byte {
            b']' if depth < array => {
                // Space in front of the end of the array stays.
                out.append(&mut self.held);
                out.push(byte);
                self.state = State::Outside;
            }
            b',' | b' ' | b'\t' | b'\n' | b'\r' => self.hold(byte, out),
            _ => {
                self.separator = self.held.len();
                self.held.push(byte);
                self.id = Id::default();
                self.state = State::Undecided(array);
            }
        }
    }

    /// Holds a byte of a separator. Space in front of the first element stays, whatever becomes of that.
    fn hold(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.is_first {
            out.push(byte);
        } else if self.held.len() < MAX_ELEMENT_BYTES || byte == b',' {
            self.held.push(byte);
        }
    }

    fn in_element(
        &mut self,
        byte: u8,
        array: usize,
        depth: usize,
        is_allowed: &mut dyn FnMut(&str) -> bool,
        out: &mut Vec<u8>,
    ) {
        let is_ended = depth < array || (depth == array && !self.follower.is_in_scalar());
        // The byte behind a number is the first that ends it.
        let is_behind = depth < array || (is_ended && matches!(byte, b',' | b' ' | b'\t' | b'\n' | b'\r'));
        if !is_behind {
            match self.state {
                State::Decided(_, true) => out.push(byte),
                State::Undecided(_) => self.held.push(byte),
                _ => {}
            }
        }
        let is_long = self.held.len().saturating_sub(self.separator) > MAX_ELEMENT_BYTES;
        if let State::Undecided(_) = self.state
            && (is_ended || is_long)
        {
            let stays = self.id.is_allowed(is_allowed) && self.has_room();
            if stays {
                self.note_shown();
            }
            self.decide(stays, out);
            self.state = State::Decided(array, stays);
        }
        if is_ended {
            (self.state, self.is_first) = (State::Between(array), false);
        }
        if is_behind {
            self.between(byte, array, depth, out);
        }
    }

    /// Puts out the element under way, with the separator unless it is the first that stays; or drops both.
    fn decide(&mut self, stays: bool, out: &mut Vec<u8>) {
        if stays {
            let from = if self.has_kept { 0 } else { self.separator };
            out.extend_from_slice(self.held.get(from..).unwrap_or_default());
            self.has_kept = true;
        }
        self.held.clear();
        self.separator = 0;
    }
}

impl Id {
    fn take(&mut self, path: usize, scalar: Scalar<'_>) {
        if self.path.is_some_and(|before| before < path) {
            return;
        }
        self.path = Some(path);
        self.text.clear();
        if let Scalar::Text(text) = scalar {
            self.text.extend(text.as_bytes());
        }
    }

    fn is_allowed(&self, is_allowed: &mut dyn FnMut(&str) -> bool) -> bool {
        !self.is_ambiguous && self.text.text().is_some_and(is_allowed)
    }
}
