//! The exchange with an upstream that a forwarded request begins.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use super::rollout::Rollout;
use super::slice::{AnswerBody, AnswerFault, AnswerSlice, Ended, RequestSlice};
use crate::answer::{CheckError, LocalReply, ResponseHeaders, UPLOAD_ADDRESS, Withheld};
use crate::base::Moment;
use crate::body::{self, Edit, Relink, TOKEN_COUNT_HEADERS};
use crate::host::Store;
use crate::judge::{
    Admitted, AnswerFate, AnswerHead, Decision, JudgedSlice, ListJudge, Meter, ObjectWatch, Observation,
    OwnKey, Pending, Refusal, Sent, Slice, Step, Watch, logged, rejection, usage,
};
use crate::services::Fetch;
use crate::upstream::{MAX_MINTED_BYTES, MintFault, Minting, UploadAddress};

/// A forwarded request whose answer is still to come. An exchange does not keep its policies in force.
#[derive(Default)]
pub struct Exchange {
    rollout: Weak<Rollout>,
    sent: Cell<Sent>,
    /// The key of the policy that went upstream, until it was rejected.
    own_key: Cell<Option<OwnKey>>,
    response: ResponseHeaders,
    minting: Option<Box<Minting>>,
    /// The address of an upload that the answer may tell.
    upload: Option<Box<UploadAddress>>,
    /// The change of addresses in the answer.
    relink: Option<Box<Relink>>,
    /// The judge of the request's body, until it holds.
    pending: Option<Box<Pending>>,
    /// The judges of the body whose policies do not decide.
    watch: Option<Box<Watch>>,
    /// The meter of the request, where its usage is metered.
    meter: Option<Box<Meter>>,
    /// The filter of the answer, where it is a list of models.
    list: Option<Box<ListJudge>>,
    /// The watch over objects, where they are judged.
    objects: Option<Box<ObjectWatch>>,
    /// The reason why the answer that has begun does not go out.
    withheld: Option<Withheld>,
    /// Set where the request was refused by its body.
    is_refused: bool,
    /// The caller, where the exchange ends with its right.
    admitted: Option<Box<Admitted>>,
}

impl Exchange {
    /// The longest body of a brokered answer that is read, in bytes.
    pub const MAX_BROKERED_BYTES: usize = MAX_MINTED_BYTES;

    /// Takes from the decision the part that belongs to the exchange.
    pub(super) fn new(rollout: Option<&Rc<Rollout>>, decision: &mut Decision<'_>) -> Self {
        Self {
            rollout: rollout.map(Rc::downgrade).unwrap_or_default(),
            own_key: Cell::new(decision.follow_up.sent.own_key()),
            sent: Cell::new(std::mem::take(&mut decision.follow_up.sent)),
            response: std::mem::take(&mut decision.response),
            minting: decision.follow_up.minting.take(),
            upload: decision.follow_up.upload.take(),
            relink: decision.follow_up.relink.take(),
            pending: decision.follow_up.pending.take(),
            watch: decision.follow_up.watch.take(),
            meter: decision.follow_up.meter.take(),
            list: decision.follow_up.list.take(),
            objects: decision.follow_up.objects.take(),
            withheld: None,
            is_refused: false,
            admitted: decision.follow_up.admitted.take(),
        }
    }

    /// Tells whether the exchange ends when its caller loses the right to it: see [`InForce::look_again`].
    ///
    /// [`InForce::look_again`]: super::InForce::look_again
    pub fn may_end(&self) -> bool {
        self.admitted.is_some()
    }

    pub(super) fn admitted(&self) -> Option<&Admitted> {
        self.admitted.as_deref()
    }

    /// Tells whether the body of the request is judged: each slice of it goes through [`Exchange::request_body`].
    pub fn judges_request(&self) -> bool {
        self.pending.is_some() || self.watch.is_some()
    }

    /// Judges the next slice of the request's body. `is_last` says that nothing follows it; then the exchange tells what
    /// became of the request.
    ///
    /// # Errors
    /// The refusal of the request. Nothing of this slice may go on, and nothing after it.
    pub fn request_body(
        &mut self,
        slice: &[u8],
        is_last: bool,
        now: Moment,
        store: &dyn Store,
    ) -> Result<RequestSlice, Box<Refusal>> {
        if let Some(watch) = &mut self.watch {
            watch.take(slice, is_last);
        }
        let Some(pending) = &mut self.pending else { return Ok(RequestSlice::default()) };
        let judged = pending.take(
            self.meter.as_deref_mut(),
            self.objects.as_deref_mut(),
            (slice, is_last),
            now,
            store,
        );
        self.pass(judged, now)
    }

    /// Goes on with a slice that has waited for a call.
    ///
    /// # Errors
    /// The refusal of the request. Nothing of the slice may go on, and nothing after it.
    pub fn resume_request(&mut self, now: Moment, store: &dyn Store) -> Result<RequestSlice, Box<Refusal>> {
        let Some(pending) = &mut self.pending else { return Ok(RequestSlice::default()) };
        let judged = pending.reserve(self.meter.as_deref_mut(), self.objects.as_deref_mut(), now, store);
        self.pass(judged, now)
    }

    fn pass(
        &mut self,
        judged: Result<JudgedSlice, CheckError<'static>>,
        now: Moment,
    ) -> Result<RequestSlice, Box<Refusal>> {
        let Some(pending) = &self.pending else { return Ok(RequestSlice::default()) };
        if let Some(taken) = self.meter.as_mut().and_then(|meter| meter.tokens_taken()) {
            self.response.tokens(&taken);
        }
        let JudgedSlice { slice, waits, fetch, is_done } = match judged {
            Ok(judged) => judged,
            Err(error) => {
                self.is_refused = true;
                if let CheckError::TokensLimited(taken) = &error {
                    self.response.tokens(taken);
                }
                return Err(Box::new(pending.refuse(error, &self.response, now)));
            }
        };
        let observation = is_done.then(|| pending.allowed());
        if is_done {
            self.pending = None;
        }
        let bytes = match slice {
            Slice::Same => None,
            Slice::Other(bytes) => Some(bytes),
        };
        Ok(RequestSlice { bytes, waits, fetch, observation })
    }

    /// Takes the head of the answer. Returns what becomes of its body.
    ///
    /// An upstream may answer before it has the whole request. Its error goes on. Anything else goes on only where no byte
    /// that is still to come can have the request refused.
    pub fn begin_answer(&mut self, answer: &dyn AnswerHead) -> AnswerBody {
        if let Some(upload) = self.upload.as_ref().filter(|_| answer.is_of_upstream()) {
            let address = answer.value(UPLOAD_ADDRESS).and_then(|address| upload.replace(&address));
            self.response.set.extend(address.map(|address| (UPLOAD_ADDRESS, address.into())));
        }
        let watched = self.watch(answer);
        self.relink.take_if(|_| !is_readable(answer));
        let begun = self.begin_read(answer);
        match begun {
            AnswerBody::Same if self.relink.is_some() && watched != AnswerFate::Withheld => {
                AnswerBody::Edited
            }
            AnswerBody::Same if watched == AnswerFate::Edited => AnswerBody::Edited,
            _ if watched == AnswerFate::Withheld => {
                self.withheld = Some(Withheld::Unreadable);
                AnswerBody::Withheld
            }
            body => body,
        }
    }

    /// Has the watch over objects take the head of the answer.
    fn watch(&mut self, answer: &dyn AnswerHead) -> AnswerFate {
        let Some(objects) = self.objects.as_mut().filter(|_| answer.is_of_upstream()) else {
            return AnswerFate::Same;
        };
        let value = |name| answer.value(name).and_then(|value| String::from_utf8(value).ok());
        let status = value(":status").and_then(|status| status.parse().ok()).unwrap_or(0);
        let is_plain = value("content-encoding").is_none_or(|it| matches!(it.trim(), "" | "identity"));
        objects.begin(status, value("content-type").as_deref(), is_plain)
    }

    fn begin_read(&mut self, answer: &dyn AnswerHead) -> AnswerBody {
        if self.list.is_none() && self.meter.is_none() && self.pending.is_none() {
            return AnswerBody::Same;
        }
        let value = |name| answer.value(name).and_then(|value| String::from_utf8(value).ok());
        let status = value(":status").and_then(|status| status.parse().ok()).unwrap_or(0);
        let is_open = self.pending.as_ref().is_some_and(|pending| pending.is_open(self.meter.as_deref()));
        if is_open && status < 400 && answer.is_of_upstream() {
            self.withheld = Some(Withheld::Early);
            return AnswerBody::Withheld;
        }
        let encoding = value("content-encoding");
        if self.list.is_some() {
            let is_plain =
                encoding.as_deref().is_none_or(|encoding| matches!(encoding.trim(), "" | "identity"));
            return match status {
                200 if answer.is_of_upstream() && is_plain => AnswerBody::Edited,
                200 if answer.is_of_upstream() => {
                    self.withheld = Some(Withheld::Unreadable);
                    AnswerBody::Withheld
                }
                _ => {
                    self.list = None;
                    AnswerBody::Same
                }
            };
        }
        let Some(meter) = &mut self.meter else { return AnswerBody::Same };
        let content_type = value("content-type");
        let counts = TOKEN_COUNT_HEADERS.map(value);
        let head = body::AnswerHead {
            status,
            content_type: content_type.as_deref(),
            content_encoding: encoding.as_deref(),
            token_counts: [counts[0].as_deref(), counts[1].as_deref()],
        };
        if meter.answered(&head, answer.is_of_upstream()) { AnswerBody::Edited } else { AnswerBody::Same }
    }

    /// Tells whether [`Exchange::withheld`] goes out in place of the answer that has begun.
    pub fn is_withheld(&self) -> bool {
        self.withheld.is_some()
    }

    /// Tells whether the body of the answer is read: each slice of it goes through [`Exchange::answer_body`].
    pub fn reads_answer(&self) -> bool {
        self.list.is_some()
            || self.relink.is_some()
            || self.meter.as_ref().is_some_and(|meter| meter.reads_answer())
            || self.objects.as_ref().is_some_and(|objects| objects.reads_answer())
    }

    /// Takes the next slice of the answer's body.
    ///
    /// # Errors
    /// Nothing more of the answer may go on.
    pub fn answer_body(
        &mut self,
        slice: &[u8],
        is_last: bool,
        now: Moment,
        store: &dyn Store,
    ) -> Result<AnswerSlice, AnswerFault> {
        let relinked = self.relink.as_mut().map(|relink| relink.take(slice, is_last));
        let slice = relinked.as_deref().unwrap_or(slice);
        let bytes = self.read(slice, is_last)?.or_else(|| relinked.clone());
        let Some(objects) = &mut self.objects else { return Ok(AnswerSlice { bytes, ..Default::default() }) };
        let step = objects.take(bytes.as_deref().unwrap_or(slice), is_last, now, store)?;
        let bytes = step.bytes.or(bytes.filter(|_| !step.waits));
        Ok(AnswerSlice { bytes, waits: step.waits, fetch: step.fetch })
    }

    /// Goes on with the slices that have waited for a call: the bytes go on in place of all of them.
    ///
    /// # Errors
    /// Nothing more of the answer may go on.
    pub fn resume_answer(&mut self, now: Moment, store: &dyn Store) -> Result<AnswerSlice, AnswerFault> {
        let Some(objects) = &mut self.objects else { return Ok(AnswerSlice::default()) };
        let Step { bytes, waits, fetch } = objects.resume(now, store)?;
        Ok(AnswerSlice { bytes, waits, fetch })
    }

    /// Goes on with the slices that wait, in a host that makes no call for an answer: a claim is told later, and what is not
    /// known to be the caller's is not shown.
    ///
    /// # Errors
    /// Nothing more of the answer may go on.
    pub fn pass_answer(&mut self, now: Moment, store: &dyn Store) -> Result<AnswerSlice, AnswerFault> {
        let Some(objects) = &mut self.objects else { return Ok(AnswerSlice::default()) };
        Ok(AnswerSlice { bytes: objects.pass(now, store)?, ..AnswerSlice::default() })
    }

    fn read(&mut self, slice: &[u8], is_last: bool) -> Result<Option<Vec<u8>>, AnswerFault> {
        let mut out = Vec::new();
        if let Some(list) = &mut self.list {
            return match list.take(slice, is_last, &mut out) {
                Ok(()) => Ok(Some(out)),
                Err(_) => Err(AnswerFault),
            };
        }
        let Some(meter) = &mut self.meter else { return Ok(None) };
        let edit = meter.take(slice, is_last, &mut out);
        Ok((edit == Edit::Replace).then_some(out))
    }

    /// Ends the exchange, whole or not: charges what the request took, once. Returns what is told of it.
    pub fn end(&mut self, now: Moment, store: &dyn Store) -> Ended {
        let mut ended = Ended::default();
        if let (Some(watch), Some(rollout)) = (self.watch.take(), self.rollout.upgrade()) {
            ended.observations = rollout.tell(watch.end(), now, store);
        }
        let Some(meter) = &mut self.meter else { return ended };
        if self.is_refused {
            meter.refused();
        }
        if let Some(charged) = meter.end(now, store) {
            ended.values = logged(&charged);
            ended.observations.extend(usage(&charged, meter.provider()));
        }
        ended
    }

    /// Returns the calls that tell what the exchange took and made, once it has ended. [`Worker::due`] has them, too; a host that may
    /// not live until then makes them at once.
    ///
    /// [`Worker::due`]: super::Worker::due
    pub fn reports(&self, now: Moment, store: &dyn Store) -> Vec<Fetch> {
        let objects = self.objects.iter().flat_map(|objects| objects.reports(now));
        let meter = self.meter.iter().flat_map(|meter| meter.reports(now, store));
        objects.chain(meter).collect()
    }

    /// Tells whether [`Exchange::end`] has something to charge or to tell.
    pub fn has_end(&self) -> bool {
        self.meter.is_some() || self.watch.is_some()
    }

    /// Returns the changes to the answer.
    pub fn response(&self) -> &ResponseHeaders {
        &self.response
    }

    /// Tells whether a header of this name can carry a credential, in any spelling; `None` where the policies of the
    /// exchange are gone.
    pub fn is_slot(&self, name: &[u8]) -> Option<bool> {
        self.rollout.upgrade().map(|rollout| rollout.is_slot(name))
    }

    /// Returns the observation of an upstream that rejects a key of the policy, once; `None` where the key is the caller's own.
    pub fn rejected(&self, answer: &dyn AnswerHead) -> Option<Observation> {
        let key = self.own_key.get()?;
        let status = rejection(answer)?;
        self.own_key.set(None);
        self.rollout.upgrade()?.rejected(key, status)
    }

    /// Tells whether the answer teaches something.
    pub fn has_to_learn(&self) -> bool {
        !self.sent.get().is_nothing() || self.objects.as_ref().is_some_and(|objects| objects.deletes())
    }

    /// Learns from the answer, once: that the token was used, and whether the keys work. Policies that are gone have
    /// nothing to learn.
    pub fn answered(&self, answer: &dyn AnswerHead, now: Moment, store: &dyn Store) {
        let sent = self.sent.take();
        if let Some(objects) = self.objects.as_ref().filter(|_| answer.is_of_upstream()) {
            let status = answer.value(":status").and_then(|status| String::from_utf8(status).ok());
            objects.answered(status.and_then(|status| status.parse().ok()).unwrap_or(0), store);
        }
        if let Some(rollout) = self.rollout.upgrade() {
            rollout.learn(sent, answer, now, store);
        }
    }

    /// Tells whether the request mints, so that its answer may be held back.
    pub fn is_minting(&self) -> bool {
        self.minting.is_some()
    }

    /// Tells whether the body of an answer is held back, and what [`Exchange::broker`] returns goes out in its place. `None`
    /// is a status that cannot be read. What the host answers itself passes, unless it is a success.
    pub fn holds(&self, status: Option<u16>, is_of_upstream: bool) -> bool {
        self.is_minting() && (is_of_upstream || status.is_none_or(|status| matches!(status, 200..=299)))
    }

    /// Returns the body that goes out in place of a brokered answer's.
    ///
    /// # Errors
    /// The reason why nothing of the answer may go out. Then the caller gets [`Exchange::withheld`].
    pub fn broker(&self, status: u16, body: &[u8], now: Moment) -> Result<String, MintFault> {
        let minting = self.minting.as_ref().ok_or(MintFault::NoSecret)?;
        minting.replace(status, body, now.unix())
    }

    /// Returns the reply in place of an answer that does not go out.
    pub fn withheld(&self) -> LocalReply {
        self.withheld
            .map_or_else(|| LocalReply::not_brokered(502), LocalReply::not_passed_on)
            .with(&self.response)
    }
}

/// Returns whether an answer is an upstream's success, as it is.
fn is_readable(answer: &dyn AnswerHead) -> bool {
    let value = |name| answer.value(name).and_then(|value| String::from_utf8(value).ok()).unwrap_or_default();
    let is_plain = matches!(value("content-encoding").trim(), "" | "identity");
    answer.is_of_upstream() && value(":status") == "200" && is_plain
}
