//! One request: its head to the engine, and what the program around is told to do.

use std::cell::Cell;
use std::rc::Rc;

use keyswap_core::answer::{LocalReply, Reason};
use keyswap_core::base::Moment;
use keyswap_core::judge::{Decision, Verdict};
use keyswap_core::request::RequestHead;
use keyswap_core::services::{Fetch, Resolution};
use keyswap_core::worker::{Judged, Next, Rollout, Waiting};

use super::shared::{Judging, Shared};
use super::{Call, Exchange, convert, wit};
use crate::head::Head;

/// What waits for a call.
pub(super) enum At {
    /// A request; where there was no policy yet, its judgement has not begun.
    Request(Head, Option<Begun>),
    /// A judgement that only tells something.
    Aside(Judging),
}

/// Where a judgement goes on, and the policies that it is one of.
pub(super) struct Begun {
    pub(super) rollout: Rc<Rollout>,
    pub(super) waiting: Waiting,
}

/// Judges a head, for the first time or with what came of a call that it waited for.
pub(super) fn judge(
    shared: &Rc<Shared>,
    head: Head,
    resumed: Option<(Option<Begun>, Resolution)>,
    now: Moment,
) -> wit::Step {
    let Some(rollout) = shared.worker.rollout() else {
        return await_policy(shared, head, resumed.is_some(), now);
    };
    let lines = head.lines();
    let borrowed = head.with(&lines);
    let mut judged = match resumed {
        // What another policy began is begun anew.
        Some((Some(begun), resolution)) if Rc::ptr_eq(&begun.rollout, &rollout) => {
            rollout.resume(begun.waiting, resolution, &borrowed, now, &shared.store)
        }
        _ => rollout.begin(&borrowed, now, &shared.store),
    };
    loop {
        let Judged { next, observations, aside } = judged;
        shared.tell(observations.into_iter().filter_map(|observation| observation.line));
        match next {
            Next::Decide(decision) => {
                let step = carry_out(shared, &rollout, decision, &borrowed, now);
                drop(lines);
                shared.put_aside(aside, &rollout, head, now);
                return step;
            }
            Next::Wait(fetch, waiting) if shared.worker.may_call(&fetch.key, now) => {
                drop(lines);
                let begun = Some(Begun { rollout: Rc::clone(&rollout), waiting });
                return call(shared, *fetch, head, begun, now);
            }
            Next::Wait(_, waiting) => {
                judged = rollout.resume(waiting, Resolution::Unavailable, &borrowed, now, &shared.store);
            }
        }
    }
}

/// Has a request wait for the first policy; once it has waited, there is none to be had.
fn await_policy(shared: &Rc<Shared>, head: Head, has_waited: bool, now: Moment) -> wit::Step {
    if !has_waited && let Some(fetch) = shared.worker.first_policy(now) {
        return call(shared, fetch, head, None, now);
    }
    let reason = Reason::PolicyUnavailable.code().to_owned();
    let facts = wit::Facts { reason, provider: String::new(), principal: None };
    wit::Step::Reply(convert::reply(facts, &LocalReply::no_policy()))
}

fn call(shared: &Rc<Shared>, fetch: Fetch, head: Head, begun: Option<Begun>, now: Moment) -> wit::Step {
    wit::Step::Call(wit::Call::new(Call::new(shared, fetch, Some(At::Request(head, begun)), now)))
}

fn carry_out(
    shared: &Rc<Shared>,
    rollout: &Rc<Rollout>,
    decision: Decision<'_>,
    head: &RequestHead<'_>,
    now: Moment,
) -> wit::Step {
    shared.tell(decision.log_line(head));
    let facts = convert::facts(&decision);
    shared.refresh(decision.refresh, now);
    match decision.verdict {
        Verdict::Forward(rewrite) => {
            let exchange = Exchange {
                shared: Rc::clone(shared),
                rollout: Rc::clone(rollout),
                response: decision.response,
                sent: Cell::new(decision.sent),
                facts: facts.clone(),
            };
            wit::Step::Forward(wit::Forward {
                facts,
                https: rewrite.https,
                authority: rewrite.authority.to_owned(),
                // It was read from text, and what is put in its place is ASCII.
                target: String::from_utf8_lossy(&rewrite.path).into_owned(),
                fields: rewrite.fields(head).map(convert::field).collect(),
                exchange: wit::Exchange::new(exchange),
            })
        }
        Verdict::Reply(_, reply) | Verdict::Answer(reply) => wit::Step::Reply(convert::reply(facts, &reply)),
        Verdict::Pass(passed) => {
            let field =
                passed.header().map(|(name, value)| convert::field((name.as_bytes(), value.as_bytes())));
            wit::Step::Pass(wit::Pass { facts, field })
        }
    }
}
