//! The reader of the JSON texts of an answer: one, or the events, lines or messages of a stream.
//!
//! In a stream each count is told anew as it grows: the last one holds. Where every text is an answer of its own, the
//! texts add up.

use super::fields::{ANSWER, Labels, Meaning, is_usage_of_chunk, meaning};
use super::follower::Follower;
use super::grammar::{Event, JsonError, Scalar};
use super::passes::{Pass, PassKind, Passes, sum};
use super::text::Text;
use super::usage::{Count, Counts, Usage, parse_count};

/// The longest name of a model that is told, in bytes.
const MAX_MODEL_BYTES: usize = 128;
/// The longest label that is told, in bytes.
const MAX_LABEL_BYTES: usize = 32;

/// A reader.
pub(super) struct Reader {
    follower: Follower,
    /// Set where the text under way has begun.
    has_begun: bool,
    /// The first fault of the text under way.
    fault: Option<JsonError>,
    noted: Noted,
}

/// The members that were read.
pub(super) struct Noted {
    adds_up: bool,
    /// The usage of texts that ended.
    sum: Option<Usage>,
    counts: Counts,
    label: Text<MAX_LABEL_BYTES>,
    amount: Option<(u64, Labels)>,
    pass: Pass,
    passes: Passes,
    /// The usage of other models in texts that ended.
    others_sum: Option<Usage>,
    pub(super) model: Text<MAX_MODEL_BYTES>,
    pub(super) tier: Text<MAX_LABEL_BYTES>,
    pub(super) speed: Text<MAX_LABEL_BYTES>,
    pub(super) region: Text<MAX_LABEL_BYTES>,
    /// The texts that held output of the model.
    pub(super) texts_with_content: u64,
    chunk: Chunk,
}

/// Facts about the text under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunk {
    has_usage: bool,
    /// Set where the text has a choice or an error: a client waits for it.
    has_more: bool,
    has_content: bool,
}

impl Chunk {
    /// Returns whether the text, when it is whole, is one that tells nothing but usage.
    pub(super) fn tells_usage_only(self) -> bool {
        self.has_usage && !self.has_more
    }
}

/// A reader of the texts of a body.
pub(super) trait Texts {
    /// Takes the next bytes of the text under way.
    fn feed(&mut self, slice: &[u8]);

    /// Ends the text under way. Returns its facts.
    ///
    /// # Errors
    /// The fault of the text. What was read in front of it is noted all the same.
    fn end_text(&mut self) -> Result<Chunk, JsonError>;

    /// Returns whether the text under way may still become one that tells nothing but usage.
    fn may_tell_usage_only(&self) -> bool;
}

impl Reader {
    /// Makes a reader. `adds_up` is set where every text is an answer of its own.
    pub(super) fn new(adds_up: bool) -> Self {
        Self {
            follower: Follower::starting(&ANSWER, false),
            has_begun: false,
            fault: None,
            noted: Noted::new(adds_up),
        }
    }

    /// Takes counts that the head of the answer tells.
    pub(super) fn take_counts(&mut self, input: Option<u64>, output: Option<u64>) {
        self.noted.counts.set(Count::Input, input);
        self.noted.counts.set(Count::Output, output);
    }

    pub(super) fn noted(&self) -> &Noted {
        &self.noted
    }
}

impl Texts for Reader {
    /// Takes the next bytes of the text under way. Behind its first fault a text is not read.
    fn feed(&mut self, slice: &[u8]) {
        if self.fault.is_some() || slice.is_empty() {
            return;
        }
        self.has_begun = true;
        let noted = &mut self.noted;
        self.fault = self.follower.feed(slice, &mut |event| noted.take(event)).err();
    }

    fn end_text(&mut self) -> Result<Chunk, JsonError> {
        if !std::mem::take(&mut self.has_begun) {
            return Ok(Chunk::default());
        }
        let noted = &mut self.noted;
        let ended = match self.fault.take() {
            Some(fault) => Err(fault),
            None => self.follower.finish(&mut |event| noted.take(event)),
        };
        self.follower.restart();
        let chunk = self.noted.end_text();
        ended.map(|()| chunk)
    }

    fn may_tell_usage_only(&self) -> bool {
        self.fault.is_none() && !self.noted.chunk.has_more
    }
}

impl Noted {
    fn new(adds_up: bool) -> Self {
        Self {
            adds_up,
            sum: None,
            counts: Counts::default(),
            label: Text::default(),
            amount: None,
            pass: Pass::default(),
            passes: Passes::default(),
            others_sum: None,
            model: Text::default(),
            tier: Text::default(),
            speed: Text::default(),
            region: Text::default(),
            texts_with_content: 0,
            chunk: Chunk::default(),
        }
    }

    /// Returns the usage so far; `None` where none was told.
    pub(super) fn usage(&self) -> Option<Usage> {
        sum([self.sum, self.counts.usage(), self.passes.with(&self.pass).beside])
    }

    /// Returns the usage of other models so far; `None` where none was told.
    pub(super) fn others(&self) -> Option<Usage> {
        sum([self.others_sum, self.passes.with(&self.pass).others])
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Opens(path) => self.open(path),
            Event::Scalar(path, scalar) => self.take_scalar(path, scalar),
            Event::Piece(..) | Event::Closes { .. } | Event::Again(_) | Event::Alike(_) | Event::End(_) => {}
        }
    }

    fn open(&mut self, path: usize) {
        match meaning(path) {
            Some(Meaning::Usage) => self.chunk.has_usage |= is_usage_of_chunk(path),
            Some(Meaning::Choice | Meaning::Error) => self.chunk.has_more = true,
            Some(Meaning::ContentParts) => self.chunk.has_content = true,
            Some(Meaning::Element) => {
                self.label.clear();
                self.amount = None;
            }
            Some(Meaning::Passes) => (self.passes, self.pass) = Default::default(),
            Some(Meaning::Pass) => self.end_pass(),
            _ => {}
        }
    }

    fn take_scalar(&mut self, path: usize, scalar: Scalar<'_>) {
        let count = || match scalar {
            Scalar::Number(number) => parse_count(number),
            _ => None,
        };
        let text = match scalar {
            Scalar::Text(text) => Some(text),
            _ => None,
        };
        let Some(meaning) = meaning(path) else { return };
        match meaning {
            Meaning::Count(which) => self.counts.set(which, count()),
            Meaning::Added(which) => self.counts.add(which, count().unwrap_or(0)),
            Meaning::Label => {
                note(&mut self.label, text);
                self.end_element();
            }
            Meaning::Labelled(labels) => {
                self.amount = count().map(|count| (count, labels));
                self.end_element();
            }
            Meaning::PassKind => self.pass.kind = text.map_or(PassKind::OfOther, PassKind::named),
            Meaning::PassCount(which) => self.pass.counts.set(which, count()),
            Meaning::Model => note(&mut self.model, text),
            Meaning::Tier => note(&mut self.tier, text),
            Meaning::Speed => note(&mut self.speed, text),
            Meaning::Region => note(&mut self.region, text),
            Meaning::Content => {
                self.chunk.has_content |= scalar == Scalar::Long || text.is_some_and(|text| !text.is_empty());
            }
            Meaning::Choice => self.chunk.has_more = true,
            Meaning::Error => self.chunk.has_more |= scalar != Scalar::Null,
            Meaning::Usage | Meaning::Element | Meaning::Passes | Meaning::Pass | Meaning::ContentParts => {}
        }
    }

    /// Ends an element of a labelled list, when its label and its number are known.
    fn end_element(&mut self) {
        let Some((amount, labels)) = self.amount else { return };
        let label = self.label.bytes().unwrap_or_default();
        if let Some((_, count)) = labels.iter().find(|(name, _)| name.as_bytes() == label) {
            self.counts.set(*count, Some(amount));
        }
    }

    fn end_pass(&mut self) {
        self.passes = self.passes.with(&self.pass);
        self.pass = Pass::default();
    }

    fn end_text(&mut self) -> Chunk {
        self.end_pass();
        let chunk = std::mem::take(&mut self.chunk);
        self.texts_with_content = self.texts_with_content.saturating_add(u64::from(chunk.has_content));
        if self.adds_up {
            (self.sum, self.others_sum) = (self.usage(), self.others());
            (self.counts, self.passes) = Default::default();
        }
        chunk
    }
}

/// Notes a text, unless it is none.
fn note<const N: usize>(place: &mut Text<N>, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        place.clear();
        place.extend(text.as_bytes());
    }
}
