//! One request: its head to the engine, the calls that it waits for, and its exchange with an upstream.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use keyswap_core::answer::{LocalReply, UpstreamFailure};
use keyswap_core::base::Moment;
use keyswap_core::judge::{AnswerFields, Decision, Field, Request, Verdict};
use keyswap_core::request::{OwnedHead, RequestHead};
use keyswap_core::services::{Fetch, Resolution};
use keyswap_core::worker::{
    self, AnswerBody, AnswerFault, AnswerSlice, Entry, InForce, Next, Refusal, RequestSlice, Ticket,
};

use super::bindings::exports::keyswap::auth::authorizer as wit;
use super::convert;
use super::shared::{Due, Shared};

/// A call, and what waits for it.
pub(super) struct Call {
    shared: Rc<Shared>,
    fetch: Fetch,
    waiter: Option<Waiter>,
    /// The time at which it was asked for.
    at: Moment,
    is_answered: bool,
}

enum Waiter {
    Request(OwnedHead, Ticket),
    Background(OwnedHead, Ticket),
}

/// A request that was forwarded.
pub(super) struct Exchange {
    shared: Rc<Shared>,
    inner: RefCell<worker::Exchange>,
    facts: wit::Facts,
    /// The time that the program told last.
    at: Cell<Moment>,
}

/// Judges a head: decides, or has the program make a call first.
pub(super) fn judge(shared: &Rc<Shared>, head: OwnedHead, mut entry: Entry, now: Moment) -> wit::Step {
    let in_force = shared.worker.in_force(&shared.store);
    let lines = head.lines();
    let request = Request { head: &head.with(&lines), now, store: &shared.store };
    loop {
        match in_force.judge(entry, &request) {
            Next::Decide(decision, background) => {
                let step = carry_out(shared, &in_force, decision, request.head, now);
                drop(lines);
                shared.keep_background(background, head, now);
                return step;
            }
            Next::Fetch(fetch, ticket) if shared.worker.may_call(&fetch.key, now) => {
                drop(lines);
                return wit::Step::Call(Call::made(shared, *fetch, Some(Waiter::Request(head, ticket)), now));
            }
            Next::Fetch(_, ticket) => entry = Entry::Resumed(ticket, Resolution::Unavailable),
        }
    }
}

fn carry_out(
    shared: &Rc<Shared>,
    in_force: &InForce<'_>,
    decision: Box<Decision<'_>>,
    head: &RequestHead<'_>,
    now: Moment,
) -> wit::Step {
    let mut decision = *decision;
    let exchange = in_force.exchange(&mut decision);
    let facts = convert::facts(&decision);
    shared.observe(decision.follow_up.observations.split_off(0));
    shared.log(decision.log_line(head));
    shared.keep_calls(decision.follow_up.refresh, now);
    match decision.verdict {
        Verdict::Forward(rewrite) => wit::Step::Forward(wit::Forward {
            facts: facts.clone(),
            https: rewrite.https,
            authority: rewrite.authority.to_owned(),
            // The target was read from text, and the rewrite puts only ASCII in its place.
            target: String::from_utf8_lossy(&rewrite.path).into_owned(),
            fields: rewrite.fields(head).map(convert::field).collect(),
            exchange: wit::Exchange::new(Exchange {
                shared: Rc::clone(shared),
                inner: RefCell::new(exchange),
                facts,
                at: Cell::new(now),
            }),
        }),
        Verdict::Reply(_, reply) | Verdict::Answer(reply) => wit::Step::Reply(convert::reply(facts, &reply)),
        Verdict::Pass(passed) => {
            let field =
                passed.header().map(|(name, value)| convert::field((name.as_bytes(), value.as_bytes())));
            wit::Step::Pass(wit::Pass { facts, field })
        }
    }
}

impl wit::GuestExchange for Exchange {
    fn answered(&self, status: u16, fields: Vec<wit::Field>, now: u64) -> Vec<wit::Field> {
        let fields: Vec<Field<'_>> =
            fields.iter().map(|field| (field.name.as_bytes(), field.value.as_slice())).collect();
        let answer = AnswerFields { status, fields: &fields };
        self.at.set(Moment(now));
        let body = self.inner.borrow_mut().begin_answer(&answer);
        let exchange = self.inner.borrow();
        exchange.answered(&answer, Moment(now), &self.shared.store);
        let is_length =
            |name: &[u8]| body == AnswerBody::Edited && name.eq_ignore_ascii_case(b"content-length");
        let sent = exchange.response().fields(&fields).filter(|(name, _)| !is_length(name));
        sent.map(convert::field).collect()
    }

    fn instead(&self, status: u16) -> Option<wit::Reply> {
        let exchange = self.inner.borrow();
        let withheld = exchange.is_withheld().then(|| exchange.withheld());
        let reply = withheld.or_else(|| exchange.response().replaces(Some(status.to_string().as_bytes())))?;
        Some(convert::reply(self.facts.clone(), &reply))
    }

    fn failed(&self, why: wit::Failure) -> wit::Reply {
        let reply = LocalReply::upstream(match why {
            wit::Failure::Unreachable => UpstreamFailure::Unreachable,
            wit::Failure::TooSlow => UpstreamFailure::TooSlow,
        });
        let fields = reply.fields(self.inner.borrow().response()).map(convert::field).collect();
        wit::Reply { fields, ..convert::reply(self.facts.clone(), &reply) }
    }

    fn reads_request(&self) -> bool {
        self.inner.borrow().judges_request()
    }

    fn request_body(&self, slice: Vec<u8>, is_last: bool, now: u64) -> wit::BodyStep {
        let now = Moment(now);
        let judged = self.inner.borrow_mut().request_body(&slice, is_last, now, &self.shared.store);
        self.body_step(judged, now)
    }

    fn resume_request(&self, now: u64) -> wit::BodyStep {
        let now = Moment(now);
        let judged = self.inner.borrow_mut().resume_request(now, &self.shared.store);
        self.body_step(judged, now)
    }

    fn reads_answer(&self) -> bool {
        self.inner.borrow().reads_answer()
    }

    fn answer_body(&self, slice: Vec<u8>, is_last: bool) -> Result<Option<Vec<u8>>, ()> {
        let (now, store) = (self.at.get(), &self.shared.store);
        let mut exchange = self.inner.borrow_mut();
        let mut read = exchange.answer_body(&slice, is_last, now, store);
        // This function has no call for an answer: claims are told by the next calls that are due, and what is not known is
        // not shown.
        while let Ok(AnswerSlice { waits: true, .. }) = read {
            read = exchange.pass_answer(now, store);
        }
        read.map(|read| read.bytes).map_err(|AnswerFault| ())
    }

    fn answer_slice(&self, slice: Vec<u8>, is_last: bool, now: u64) -> wit::AnswerStep {
        let now = Moment(now);
        let read = self.inner.borrow_mut().answer_body(&slice, is_last, now, &self.shared.store);
        self.answer_step(read, now)
    }

    fn resume_answer(&self, now: u64) -> wit::AnswerStep {
        let now = Moment(now);
        let read = self.inner.borrow_mut().resume_answer(now, &self.shared.store);
        self.answer_step(read, now)
    }

    fn ended(&self, now: u64) {
        let ended = self.inner.borrow_mut().end(Moment(now), &self.shared.store);
        self.shared.observe(ended.observations);
    }

    fn finished(&self, now: u64) -> Vec<wit::Call> {
        self.ended(now);
        let now = Moment(now);
        let reports = self.inner.borrow().reports(now, &self.shared.store);
        self.shared.admitted(reports, now).map(|fetch| Call::made(&self.shared, fetch, None, now)).collect()
    }
}

impl Exchange {
    /// Returns the step with a slice that was judged. A slice that waits already waits for the call that was made.
    fn body_step(&self, mut judged: Result<RequestSlice, Box<Refusal>>, now: Moment) -> wit::BodyStep {
        let mut bytes = None;
        loop {
            match judged {
                Ok(RequestSlice { bytes: own, fetch, .. }) => {
                    bytes = bytes.or(own);
                    match fetch {
                        None => return wit::BodyStep::Pass(bytes),
                        Some(fetch) if self.shared.worker.may_call(&fetch.key, now) => {
                            let call = Call::made(&self.shared, *fetch, None, now);
                            return wit::BodyStep::Call(wit::BodyCall { call, bytes });
                        }
                        Some(_) => judged = self.inner.borrow_mut().resume_request(now, &self.shared.store),
                    }
                }
                Err(refusal) => {
                    self.shared.log(refusal.observation.line);
                    let facts = wit::Facts { reason: refusal.reason.to_owned(), ..self.facts.clone() };
                    return wit::BodyStep::Reply(convert::reply(facts, &refusal.reply));
                }
            }
        }
    }
}

impl Exchange {
    /// Returns the step with a slice of the answer that was read. A call that no slice waits for is among those that are due.
    fn answer_step(&self, mut read: Result<AnswerSlice, AnswerFault>, now: Moment) -> wit::AnswerStep {
        loop {
            match read {
                Ok(AnswerSlice { waits: true, fetch: Some(fetch), .. }) => {
                    if self.shared.worker.may_call(&fetch.key, now) {
                        return wit::AnswerStep::Call(Call::made(&self.shared, *fetch, None, now));
                    }
                    read = self.inner.borrow_mut().resume_answer(now, &self.shared.store);
                }
                // A slice that waits for no call waits for another slice, which was not to be handed over.
                Ok(AnswerSlice { waits: true, .. }) | Err(AnswerFault) => return wit::AnswerStep::Cut,
                Ok(AnswerSlice { bytes, .. }) => return wit::AnswerStep::Pass(bytes),
            }
        }
    }
}

impl Call {
    /// Returns a call that is due, for the program to make.
    pub(super) fn due(shared: &Rc<Shared>, due: Due, now: Moment) -> wit::Call {
        let waiter = due.background.map(|(head, ticket)| Waiter::Background(head, ticket));
        Self::made(shared, due.fetch, waiter, now)
    }

    fn made(shared: &Rc<Shared>, fetch: Fetch, waiter: Option<Waiter>, at: Moment) -> wit::Call {
        wit::Call::new(Self { shared: Rc::clone(shared), fetch, waiter, at, is_answered: false })
    }
}

impl wit::GuestCall for Call {
    fn request(&self) -> wit::HttpRequest {
        convert::request(&self.fetch)
    }

    fn answered(this: wit::Call, answer: Option<wit::HttpAnswer>, now: u64) -> Option<wit::Step> {
        let mut call: Self = this.into_inner();
        call.is_answered = true;
        let (shared, now) = (&call.shared, Moment(now));
        let answer = answer.as_ref().map(|answer| (answer.status, answer.body.as_slice())).into();
        let Fetch { key, as_of, .. } = &call.fetch;
        let accepted = shared.worker.accept(key, *as_of, &answer, now, &shared.store);
        let (resolution, lines) = accepted.into_parts(key);
        shared.log(lines);
        match call.waiter.take()? {
            Waiter::Request(head, ticket) => {
                Some(judge(shared, head, Entry::Resumed(ticket, resolution), now))
            }
            Waiter::Background(head, ticket) => {
                shared.resume_background(head, ticket, resolution, now);
                None
            }
        }
    }
}

impl Drop for Call {
    /// Makes the call due again, if it was never made.
    fn drop(&mut self) {
        if !self.is_answered {
            self.shared.worker.abandon(&self.fetch.key, self.at);
        }
    }
}
