//! The engine for programs that forward requests themselves: `keyswap:auth/authorizer`.
//!
//! Here is only what the interface asks for beside the engine: the head is kept while a request waits, and what is to be
//! logged or called without anybody waiting is gathered until it is asked for.

mod convert;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use keyswap_core::{
    AnswerHead, Capabilities, Environment, Fetch, FetchAnswer, LocalReply, MemoryStore, Moment, Pending,
    Policy, PolicyErrors, ResponseHeaders, Sent, Services, Store, UpstreamFailure, Verdict,
};

use self::bindings::exports::keyswap::auth::authorizer as wit;
use crate::head::Head;
use crate::verifier;

#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    reason = "generated"
)]
mod bindings {
    wit_bindgen::generate!({ world: "embedded", path: "wit", generate_all });
    use super::Authorizer;
    export!(Authorizer);
}

/// So many lines for the log are kept, and so many calls that are due: a program that never asks loses the oldest.
const MOST_KEPT: usize = 1024;

struct Authorizer;

impl wit::Guest for Authorizer {
    type Engine = Engine;
    type Exchange = Exchange;
    type Call = Call;
}

/// A policy with its secrets, what it has learnt, and what is to be told.
struct Shared {
    engine: keyswap_core::Engine,
    store: MemoryStore,
    log: RefCell<Vec<String>>,
    due: RefCell<Vec<Fetch>>,
}

struct Engine(Rc<Shared>);

/// A request that was forwarded.
struct Exchange {
    shared: Rc<Shared>,
    response: ResponseHeaders,
    sent: Cell<Sent>,
    facts: wit::Facts,
}

/// A call, and the request that waits for it.
struct Call {
    shared: Rc<Shared>,
    fetch: Fetch,
    waiting: Option<(Head, Pending)>,
    /// When it was asked for.
    at: Moment,
    is_answered: bool,
}

struct Variables(Vec<(String, String)>);

impl Environment for Variables {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone().into_bytes())
    }
}

impl wit::GuestEngine for Engine {
    fn create(
        policy: String,
        variables: Vec<(String, String)>,
        abilities: wit::Abilities,
    ) -> Result<wit::Engine, Vec<wit::PolicyError>> {
        let compile = || -> Result<keyswap_core::Engine, PolicyErrors> {
            let policy = Policy::from_json(policy.as_bytes())?;
            let host = Capabilities {
                shared_memory: abilities.counts,
                injects_credentials: abilities.injects_credentials,
                upgrades: abilities.upgrades,
                ticks: false,
            };
            keyswap_core::Engine::new(policy, &Variables(variables), &Services::new(verifier(), host))
        };
        let engine = compile().map_err(convert::errors)?;
        let shared = Shared {
            engine,
            store: MemoryStore::default(),
            log: RefCell::default(),
            due: RefCell::default(),
        };
        Ok(wit::Engine::new(Self(Rc::new(shared))))
    }

    fn judge(&self, head: wit::RequestHead, now: u64) -> wit::Step {
        Shared::judge(&self.0, convert::head(head), None, Moment(now))
    }

    fn due(&self, now: u64) -> Vec<wit::Call> {
        let now = Moment(now);
        let mut due = self.0.due.take();
        due.extend(self.0.engine.due(now, &self.0.store));
        let calls = due.into_iter().filter(|fetch| self.0.engine.may_call(&fetch.key, now));
        calls.map(|fetch| wit::Call::new(Call::new(&self.0, fetch, None, now))).collect()
    }

    fn is_protected(&self, name: String) -> bool {
        self.0.engine.is_slot(name.as_bytes())
    }

    fn log(&self) -> Vec<String> {
        self.0.log.take()
    }
}

impl Shared {
    /// Judges a head, for the first time or with what came of a call that it waited for.
    fn judge(
        shared: &Rc<Self>,
        head: Head,
        mut resumed: Option<(Pending, keyswap_core::Resolution)>,
        now: Moment,
    ) -> wit::Step {
        let lines = head.lines();
        let borrowed = head.with(&lines);
        let store: &dyn Store = &shared.store;
        let decision = loop {
            let step = match resumed.take() {
                None => shared.engine.begin(&borrowed, now, store),
                Some((pending, resolution)) => {
                    shared.engine.resume(pending, resolution, &borrowed, now, store)
                }
            };
            match step {
                keyswap_core::Step::Decide(decision) => break decision,
                keyswap_core::Step::Fetch(fetch, pending) if shared.engine.may_call(&fetch.key, now) => {
                    drop(lines);
                    let call = Call::new(shared, *fetch, Some((head, pending)), now);
                    return wit::Step::Call(wit::Call::new(call));
                }
                keyswap_core::Step::Fetch(_, pending) => {
                    resumed = Some((pending, keyswap_core::Resolution::Unavailable));
                }
            }
        };
        shared.tell(decision.log_line(&borrowed));
        let facts = convert::facts(&decision);
        let (response, sent) = (decision.response, decision.sent);
        keep(&shared.due, decision.refresh);
        match decision.verdict {
            Verdict::Forward(rewrite) => {
                let exchange = Exchange {
                    shared: Rc::clone(shared),
                    response,
                    sent: Cell::new(sent),
                    facts: facts.clone(),
                };
                wit::Step::Forward(wit::Forward {
                    facts,
                    https: rewrite.https,
                    authority: rewrite.authority.to_owned(),
                    // It was read from text, and what is put in its place is ASCII.
                    target: String::from_utf8_lossy(&rewrite.path).into_owned(),
                    fields: rewrite.fields(&borrowed).map(convert::field).collect(),
                    exchange: wit::Exchange::new(exchange),
                })
            }
            Verdict::Reply(_, reply) | Verdict::Answer(reply) => {
                wit::Step::Reply(convert::reply(facts, &reply))
            }
        }
    }

    fn tell(&self, lines: impl IntoIterator<Item = String>) {
        keep(&self.log, lines);
    }
}

/// Adds to what is kept until it is asked for, which is bounded.
fn keep<T>(kept: &RefCell<Vec<T>>, more: impl IntoIterator<Item = T>) {
    if let Ok(mut kept) = kept.try_borrow_mut() {
        kept.extend(more);
        let excess = kept.len().saturating_sub(MOST_KEPT);
        drop(kept.drain(..excess));
    }
}

impl wit::GuestExchange for Exchange {
    fn answered(&self, status: u16, fields: Vec<wit::Field>, now: u64) -> Vec<wit::Field> {
        let answer = Answer { status, fields: &fields };
        self.shared.engine.answered(self.sent.take(), &answer, Moment(now), &self.shared.store);
        let fields: Vec<_> =
            fields.iter().map(|field| (field.name.as_bytes(), field.value.as_slice())).collect();
        self.response.fields(&fields).map(convert::field).collect()
    }

    fn failed(&self, why: wit::Failure) -> wit::Reply {
        let reply = LocalReply::upstream(match why {
            wit::Failure::Unreachable => UpstreamFailure::Unreachable,
            wit::Failure::TooSlow => UpstreamFailure::TooSlow,
        });
        let headers = reply.fields(&self.response).map(convert::field).collect();
        wit::Reply { fields: headers, ..convert::reply(self.facts.clone(), &reply) }
    }
}

/// The head of an answer that is on its way to the caller.
struct Answer<'a> {
    status: u16,
    fields: &'a [wit::Field],
}

impl AnswerHead for Answer<'_> {
    fn value(&self, name: &'static str) -> Option<Vec<u8>> {
        if name == ":status" {
            return Some(self.status.to_string().into_bytes());
        }
        let found = self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| field.value.clone())
    }

    fn is_of_upstream(&self) -> bool {
        true
    }
}

impl Call {
    fn new(shared: &Rc<Shared>, fetch: Fetch, waiting: Option<(Head, Pending)>, at: Moment) -> Self {
        Self { shared: Rc::clone(shared), fetch, waiting, at, is_answered: false }
    }
}

impl wit::GuestCall for Call {
    fn request(&self) -> wit::HttpRequest {
        convert::request(&self.fetch)
    }

    fn answered(this: wit::Call, answer: Option<wit::HttpAnswer>, now: u64) -> Option<wit::Step> {
        let mut call: Self = this.into_inner();
        call.is_answered = true;
        let now = Moment(now);
        let answer = match &answer {
            Some(answer) => FetchAnswer::Response { status: answer.status, body: &answer.body },
            None => FetchAnswer::Failed,
        };
        let Fetch { key, asked, .. } = &call.fetch;
        let accepted = call.shared.engine.accept(key, *asked, &answer, now, &call.shared.store);
        let resolution = accepted.resolution.clone();
        call.shared.tell(accepted.lines(key));
        let (head, pending) = call.waiting.take()?;
        Some(Shared::judge(&call.shared, head, Some((pending, resolution)), now))
    }
}

impl Drop for Call {
    /// A call that was never made is due again.
    fn drop(&mut self) {
        if !self.is_answered {
            self.shared.engine.abandon(&self.fetch.key, self.at);
        }
    }
}
