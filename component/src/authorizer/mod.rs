//! The engine for programs that forward requests themselves: `keyswap:auth/authorizer`.
//!
//! Here is only what the interface asks for beside the engine: the head is kept while a request waits (`judging`), and
//! what is to be logged or called without anybody waiting is gathered until it is asked for (`shared`).

mod convert;
mod judging;
mod shared;

use std::cell::Cell;
use std::rc::Rc;

use keyswap_core::answer::{LocalReply, ResponseHeaders, UpstreamFailure};
use keyswap_core::base::Moment;
use keyswap_core::host::{Capabilities, Environment};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{AnswerHead, Sent};
use keyswap_core::services::{Fetch, FetchAnswer};
use keyswap_core::worker::{Rollout, Worker};

use self::bindings::exports::keyswap::auth::authorizer as wit;
use self::judging::{At, judge};
use self::shared::{Due, Shared};

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

struct Authorizer;

impl wit::Guest for Authorizer {
    type Engine = Engine;
    type Exchange = Exchange;
    type Call = Call;
}

struct Engine(Rc<Shared>);

/// A request that was forwarded.
struct Exchange {
    shared: Rc<Shared>,
    /// The policies that let it go on.
    rollout: Rc<Rollout>,
    response: ResponseHeaders,
    sent: Cell<Sent>,
    facts: wit::Facts,
}

/// A call, and what waits for it.
struct Call {
    shared: Rc<Shared>,
    fetch: Fetch,
    waiting: Option<At>,
    /// When it was asked for.
    at: Moment,
    is_answered: bool,
}

/// All that a policy may name, also one that is fetched later.
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
        node: String,
    ) -> Result<wit::Engine, Vec<wit::PolicyError>> {
        let host = Capabilities {
            shared_memory: abilities.counts,
            injects_credentials: abilities.injects_credentials,
            upgrades: abilities.upgrades,
            passes: abilities.passes,
            ticks: false,
        };
        let variables = Box::new(Variables(variables));
        let worker = Worker::start(policy.as_bytes(), variables, Box::new(PureRust), host, &node);
        Ok(wit::Engine::new(Self(Rc::new(Shared::new(worker.map_err(convert::errors)?)))))
    }

    fn judge(&self, head: wit::RequestHead, now: u64) -> wit::Step {
        judge(&self.0, convert::head(head), None, Moment(now))
    }

    fn due(&self, now: u64) -> Vec<wit::Call> {
        let now = Moment(now);
        let due = self.0.due(now).into_iter();
        due.map(|Due { fetch, aside }| wit::Call::new(Call::new(&self.0, fetch, aside.map(At::Aside), now)))
            .collect()
    }

    /// Where there is no policy yet nothing is forwarded, so a trailer is not either.
    fn is_protected(&self, name: String) -> bool {
        self.0.worker.rollout().is_none_or(|rollout| rollout.is_slot(name.as_bytes()))
    }

    fn log(&self) -> Vec<String> {
        self.0.log()
    }
}

impl wit::GuestExchange for Exchange {
    fn answered(&self, status: u16, fields: Vec<wit::Field>, now: u64) -> Vec<wit::Field> {
        let answer = Answer { status, fields: &fields };
        self.rollout.answered(self.sent.take(), &answer, Moment(now), &self.shared.store);
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
    fn new(shared: &Rc<Shared>, fetch: Fetch, waiting: Option<At>, at: Moment) -> Self {
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
        let (shared, now) = (&call.shared, Moment(now));
        let answer = match &answer {
            Some(answer) => FetchAnswer::Response { status: answer.status, body: &answer.body },
            None => FetchAnswer::Failed,
        };
        let Fetch { key, asked, .. } = &call.fetch;
        let accepted = shared.worker.accept(key, *asked, &answer, now, &shared.store);
        let resolution = accepted.resolution.clone();
        shared.tell(accepted.lines(key));
        match call.waiting.take()? {
            At::Request(head, begun) => Some(judge(shared, head, Some((begun, resolution)), now)),
            At::Aside(aside) => {
                shared.conclude(aside, resolution, now);
                None
            }
        }
    }
}

impl Drop for Call {
    /// A call that was never made is due again.
    fn drop(&mut self) {
        if !self.is_answered {
            self.shared.worker.abandon(&self.fetch.key, self.at);
        }
    }
}
