//! The objects of one request and its answer: those that the body names are checked, those that are made are claimed, and
//! a list shows the caller its own.
//!
//! An answer that tells of an object waits with its last bytes until the registry knows the holder. Else an object could
//! be used that belongs to no caller.

use std::borrow::Cow;
use std::rc::Rc;

use super::lack::Lack;
use super::lookups::Lookups;
use super::object_list::ObjectList;
use crate::answer::CheckError;
use crate::base::{Digest, Moment};
use crate::body::{JsonError, MadeId, MadeScanner};
use crate::host::Store;
use crate::judge::admit::ObjectRule;
use crate::provider::objects::ITEM;
use crate::services::Fetch;
use crate::services::registry::{Claim, MAX_LOOKED_UP, Owned, Registry};

/// The most ids of one answer, and the longest of them in bytes.
const MAX_MADE: usize = 256;
const MAX_ID_BYTES: usize = 256;
/// The most calls for one claim that an answer waits for.
const MAX_TRIES: u8 = 6;

/// The most bytes of an answer that wait for one call: a host goes on reading for as long as the call takes.
const MAX_HELD_BYTES: usize = 4 * 1024 * 1024;

/// The watch over the objects of one request.
pub(crate) struct ObjectWatch {
    rule: Rc<ObjectRule>,
    registry: Rc<Registry>,
    /// The objects of the body that the registry was asked for.
    lookups: Lookups,
    /// The word of the body on keeping the answer.
    store: Option<bool>,
    answer: Answer,
    /// The ids that are not claimed yet.
    made: Vec<Claim>,
    /// The number of ids that were told.
    told: usize,
    /// The id of what the request makes.
    created: Option<String>,
    /// The claims that the registry may not have confirmed.
    claims: Vec<u64>,
    /// The claim that the slice waits for, and the calls for it.
    awaited: Option<u64>,
    tries: u8,
    /// The bytes that go on once a call has its answer.
    held: Option<Vec<u8>>,
    /// The last byte of a stream so far, which goes on with the next slice: a host may not know that a slice is the last.
    tail: Option<u8>,
    is_last: bool,
}

enum Answer {
    Unread,
    Read(Box<MadeScanner>, bool),
    List(Box<ObjectList>),
}

impl Answer {
    /// Returns the bytes of a list that wait for its filter.
    fn waiting(&self) -> usize {
        match self {
            Self::List(list) => list.waiting(),
            Self::Unread | Self::Read(..) => 0,
        }
    }
}

/// The fate of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFate {
    /// It is not edited.
    Same,
    /// Elements may be taken out.
    Edited,
    /// It cannot be read, and would have to be.
    Withheld,
}

/// A slice of an answer.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// The bytes that go on in its place; `None` where it goes on as it is, or waits.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) waits: bool,
    pub(crate) fetch: Option<Box<Fetch>>,
}

/// The error of an answer of which nothing more may go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unclaimed;

impl From<JsonError> for Unclaimed {
    fn from(_: JsonError) -> Self {
        Self
    }
}

impl std::fmt::Debug for ObjectWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ObjectWatch")
    }
}

impl ObjectWatch {
    pub(crate) fn new(rule: &Rc<ObjectRule>, registry: &Rc<Registry>) -> Self {
        Self {
            rule: Rc::clone(rule),
            registry: Rc::clone(registry),
            lookups: Lookups::default(),
            store: None,
            answer: Answer::Unread,
            made: Vec::new(),
            told: 0,
            created: None,
            claims: Vec::new(),
            awaited: None,
            tries: 0,
            held: None,
            tail: None,
            is_last: false,
        }
    }

    /// Notes the word of the body on keeping the answer.
    pub(crate) fn note_store(&mut self, word: Option<bool>) {
        self.store = word;
    }

    /// Checks the objects that the body names so far. Each is asked for once, unless the answer is out of date. `is_over` says
    /// that no more can come: until then an answer may be on its way. Returns whether all of them are the caller's.
    pub(crate) fn check(
        &mut self,
        named: &[Digest],
        is_over: bool,
        now: Moment,
        store: &dyn Store,
    ) -> Result<bool, Lack> {
        let (registry, caller) = (&self.registry, &self.rule.caller);
        let (mut unasked, mut lacks_answer) = (Vec::new(), false);
        for digest in named {
            let asked = self.lookups.moment(digest);
            match (registry.owns(caller, digest, asked, now, store), asked) {
                (Owned::Own, _) => {}
                (Owned::Foreign, _) => return Err(Lack::Refused(CheckError::ObjectNotFound)),
                (Owned::Unasked, _) if !self.lookups.may_ask(digest, registry) => lacks_answer = true,
                (Owned::Unasked, None) if registry.was_foreign(caller, digest, now, store) => {
                    return Err(Lack::Refused(CheckError::ObjectNotFound));
                }
                (Owned::Unasked, _) => unasked.push(*digest),
            }
        }
        // One call at a time, but at the end all that is asked for is known to the next try.
        if unasked.is_empty() || (lacks_answer && !is_over) {
            if lacks_answer && is_over {
                self.lookups.leave(registry);
                return Err(Lack::Refused(CheckError::ObjectsUnavailable));
            }
            if !lacks_answer {
                self.lookups.clear();
            }
            return Ok(!lacks_answer);
        }
        unasked.truncate(MAX_LOOKED_UP);
        let call = registry.objects_call(caller, &unasked, now);
        let (call, number) = call.map_err(|error| Lack::Refused(error.into()))?;
        self.lookups.note(&unasked, number, now);
        Err(Lack::Call(Box::new(call)))
    }

    /// Takes the head of the answer of an upstream.
    pub(crate) fn begin(&mut self, status: u16, content_type: Option<&str>, is_plain: bool) -> AnswerFate {
        if !matches!(status, 101 | 200..=299) {
            return AnswerFate::Same;
        }
        if let Some(collection) = self.rule.lists {
            if status == 204 || self.rule.is_head {
                return AnswerFate::Same;
            }
            // A part of a list has no element that is certain.
            if !is_plain || status == 206 {
                return AnswerFate::Withheld;
            }
            self.answer =
                Answer::List(Box::new(ObjectList::new(self.rule.table, collection.begins, self.rule.limit)));
            return AnswerFate::Edited;
        }
        if !self.rule.reads_answer {
            return AnswerFate::Same;
        }
        if !is_plain {
            let makes = self.rule.makes(self.store).is_some();
            return if makes { AnswerFate::Withheld } else { AnswerFate::Same };
        }
        let scanner = MadeScanner::new(status, content_type.unwrap_or_default(), self.rule.table.made.paths);
        if let Some(scanner) = scanner {
            self.answer = Answer::Read(Box::new(scanner), status == 101);
        }
        AnswerFate::Same
    }

    /// Notes that the request has its answer: what was deleted is forgotten.
    pub(crate) fn answered(&self, status: u16, store: &dyn Store) {
        if let Some(digest) = self.rule.deletes.filter(|_| matches!(status, 200..=299)) {
            self.registry.remove_object(digest, store);
        }
    }

    /// Returns whether the answer tells something when it begins.
    pub(crate) fn deletes(&self) -> bool {
        self.rule.deletes.is_some()
    }

    /// Returns whether the body of the answer is read.
    pub(crate) fn reads_answer(&self) -> bool {
        !matches!(self.answer, Answer::Unread)
    }

    /// Takes the next slice of the answer.
    ///
    /// # Errors
    /// Nothing more of the answer may go on.
    pub(crate) fn take(
        &mut self,
        slice: &[u8],
        is_last: bool,
        now: Moment,
        store: &dyn Store,
    ) -> Result<Step, Unclaimed> {
        self.is_last |= is_last;
        let found = match &mut self.answer {
            Answer::Unread => return Ok(Step::default()),
            Answer::Read(scanner, _) => scanner.feed(slice),
            Answer::List(list) => {
                list.take(slice, self.rule.table)?;
                Vec::new()
            }
        };
        for id in found {
            self.note(id);
        }
        // A list has its own slices.
        let own = if matches!(self.answer, Answer::List(_)) { &[] } else { slice };
        if let Some(held) = &mut self.held {
            held.extend_from_slice(own);
            if held.len().saturating_add(self.answer.waiting()) > MAX_HELD_BYTES {
                return Err(Unclaimed);
            }
            return Ok(Step { waits: true, ..Step::default() });
        }
        let step = self.advance(now, store)?;
        if step.waits {
            self.held = Some(self.with_tail(own).into_owned());
            return Ok(step);
        }
        let slice = self.with_tail(slice);
        let is_stream = matches!(&self.answer, Answer::Read(scanner, false) if scanner.is_stream());
        let keeps = is_stream && !self.is_last && !self.claims.is_empty();
        let bytes = match (slice, step.bytes) {
            (slice, None) if keeps && !slice.is_empty() => {
                let mut bytes = slice.into_owned();
                self.tail = bytes.pop();
                Some(bytes)
            }
            (Cow::Owned(joined), None) => Some(joined),
            (_, bytes) => bytes,
        };
        Ok(Step { bytes, ..step })
    }

    /// Puts the byte that was kept in front of a slice.
    fn with_tail<'s>(&mut self, slice: &'s [u8]) -> Cow<'s, [u8]> {
        self.tail.take().map_or(Cow::Borrowed(slice), |byte| Cow::Owned([&[byte], slice].concat()))
    }

    /// Goes on with the slices that have waited for a call.
    ///
    /// # Errors
    /// Nothing more of the answer may go on.
    pub(crate) fn resume(&mut self, now: Moment, store: &dyn Store) -> Result<Step, Unclaimed> {
        let step = self.advance(now, store)?;
        if step.waits {
            return Ok(step);
        }
        let held = self.held.take().filter(|held| !held.is_empty());
        Ok(Step { bytes: step.bytes.or(held), ..step })
    }

    /// Returns the calls that tell what is claimed, and not confirmed.
    pub(crate) fn reports(&self, now: Moment) -> Vec<Fetch> {
        self.claims.iter().filter_map(|claim| self.registry.claim_call(*claim, now)).collect()
    }

    /// Goes on with the slices that wait, as if no call could be made.
    pub(crate) fn pass(&mut self, now: Moment, store: &dyn Store) -> Result<Option<Vec<u8>>, Unclaimed> {
        let held = self.held.take();
        // No call was made, so none has failed.
        self.awaited = None;
        match &mut self.answer {
            Answer::List(list) => {
                Ok(Some(list.filter(&self.rule, &self.registry, self.is_last, now, store)?))
            }
            Answer::Unread | Answer::Read(..) => Ok(held),
        }
    }

    fn advance(&mut self, now: Moment, store: &dyn Store) -> Result<Step, Unclaimed> {
        match &mut self.answer {
            Answer::Unread => Ok(Step::default()),
            Answer::Read(..) => self.settle(now, store),
            Answer::List(list) => {
                if let Some(call) = list.lacking(&self.rule, &self.registry, now, store) {
                    return Ok(Step { bytes: None, waits: true, fetch: Some(call) });
                }
                let bytes = list.filter(&self.rule, &self.registry, self.is_last, now, store)?;
                Ok(Step { bytes: Some(bytes), ..Step::default() })
            }
        }
    }

    /// Notes an id that the answer tells.
    fn note(&mut self, MadeId { path, id }: MadeId) {
        let table = self.rule.table;
        let Some(kind) = table.made.kinds.get(path) else { return };
        let Ok(id) = str::from_utf8(table.id_in(id.as_bytes())) else { return };
        if id.is_empty() || id.len() > MAX_ID_BYTES || self.told >= MAX_MADE {
            return;
        }
        if *kind == ITEM && !self.rule.claims_item(self.store, id) {
            return;
        }
        let kind = if kind.is_empty() {
            let Some(collection) = self.rule.makes(self.store) else { return };
            let is_stream = matches!(self.answer, Answer::Read(_, true));
            let is_next = self.created.as_deref().is_none_or(|created| is_stream && created != id);
            if !is_next || !id.starts_with(collection.begins) {
                return;
            }
            self.created = Some(id.to_owned());
            collection.kind
        } else {
            kind
        };
        self.told = self.told.saturating_add(1);
        self.made.push(self.rule.claim(kind, id));
    }

    /// Claims what is not the caller's yet. The slice waits where a client may act on what has come.
    fn settle(&mut self, now: Moment, store: &dyn Store) -> Result<Step, Unclaimed> {
        let is_over = match &self.answer {
            Answer::Read(scanner, _) => scanner.is_over(),
            _ => false,
        };
        let waits = self.is_last || is_over;
        let mut step = Step::default();
        let (registry, caller) = (Rc::clone(&self.registry), &self.rule.caller);
        self.claims.retain(|claim| !registry.is_confirmed(*claim));
        self.made.retain(|claim| registry.owns(caller, &claim.digest(), None, now, store) != Owned::Own);
        // Items come one by one: those that come while a claim is told go together.
        let is_due = waits || self.claims.is_empty() || self.made.iter().any(|claim| claim.kind != ITEM);
        if !self.made.is_empty() && is_due {
            let claim = registry.claim(std::mem::take(&mut self.made), now, store).ok_or(Unclaimed)?;
            self.claims.push(claim);
            step.fetch = registry.claim_call(claim, now).map(Box::new);
        }
        let Some(claim) = self.claims.first().copied().filter(|_| waits) else { return Ok(step) };
        let has_failed = self.awaited == Some(claim) && !registry.has_progress(claim);
        self.tries = if self.awaited == Some(claim) { self.tries.saturating_add(1) } else { 0 };
        if has_failed || self.tries > MAX_TRIES {
            return Err(Unclaimed);
        }
        self.awaited = Some(claim);
        let call = registry.claim_call(claim, now).ok_or(Unclaimed)?;
        Ok(Step { bytes: None, waits: true, fetch: Some(Box::new(call)) })
    }
}
