//! What a worker runs: a policy, or two of which one is tried.
//!
//! The stable policy judges every request first; that tells who calls. For its share of principals the candidate decides
//! then; for others it is only seen what it would decide. Where both judged a request, a difference is told. The one that
//! does not decide takes nothing from anybody's budget, delays nothing, and teaches nothing of keys.
//!
//! A policy in shadow mode decides nothing either: what it would decide is told, and the request goes on untouched.

mod canary;
mod observation;

use std::rc::Rc;

use serde_json::{Value, json};

use self::canary::Canary;
pub use self::observation::Observation;
use self::observation::Outcome;
use crate::decision::{Decision, Verdict};
use crate::engine::status;
use crate::engine::{self, Engine, Role};
use crate::fetch::{Fetch, Resolution};
use crate::head::RequestHead;
use crate::policy::{CandidatePolicy, PolicyErrors, RolloutPolicy};
use crate::secret::Environment;
use crate::sent::{AnswerHead, Sent};
use crate::services::Services;
use crate::store::Store;
use crate::time::Moment;
use crate::token::{Principal, TokenDigest};

/// A policy in force, and what may be tried beside it, with the services that both ask.
pub struct Rollout {
    digest: TokenDigest,
    /// Which one it is of those that were fetched.
    revision: Option<u64>,
    stable: Engine,
    candidate: Option<(Engine, Canary)>,
    services: Rc<Services>,
}

/// What a host does now with a request, and what became known by the way.
pub struct Judged<'a> {
    /// What to do.
    pub next: Next<'a>,
    /// For metrics and the log.
    pub observations: Vec<Observation>,
    /// A judgement that the request does not wait for, and that only tells something. It goes on with
    /// [`Rollout::conclude`], whatever has become of the request by then.
    pub aside: Option<Aside>,
}

/// What a host does next with a request.
#[must_use]
#[allow(clippy::large_enum_variant, reason = "a decision is what it nearly always is")]
pub enum Next<'a> {
    /// Carry out the decision.
    Decide(Decision<'a>),
    /// Fetch something, and then go on with [`Rollout::resume`]. Requests that want the same key share one fetch.
    Wait(Box<Fetch>, Waiting),
}

/// A request that waits for a fetch. It holds nothing of the head, so the host must keep that, or read it again.
pub struct Waiting(At);

/// Where judging goes on.
enum At {
    Stable(engine::Pending),
    Candidate {
        pending: engine::Pending,
        /// What the stable policy decided.
        stable: Outcome,
        decides: bool,
    },
}

/// A judgement that nobody waits for.
pub struct Aside {
    /// What it needs.
    pub fetch: Fetch,
    /// What goes on then.
    pub waiting: Waiting,
}

impl Rollout {
    /// Compiles the policies for a host. `revision` is which one it is of those that were fetched.
    ///
    /// # Errors
    /// See [`Engine::new`]; those of the candidate stand behind `candidate.`. And a fallback, where no memory is shared in
    /// which refusals could be counted.
    pub fn new(
        policy: RolloutPolicy,
        revision: Option<u64>,
        environment: &dyn Environment,
        services: &Rc<Services>,
    ) -> Result<Self, PolicyErrors> {
        let RolloutPolicy { digest, stable, candidate } = policy;
        let is_alone = candidate.is_none();
        let stable = Engine::new(stable, environment, services);
        let stable = if is_alone { stable } else { stable.map_err(|errors| errors.within("stable")) };
        let candidate = candidate.map(|candidate| {
            let CandidatePolicy { policy, percent, compare, fallback } = candidate;
            let engine =
                Engine::new(policy, environment, services).map_err(|errors| errors.within("candidate"));
            let can_fall_back = fallback.is_none() || services.host().shared_memory;
            let fallback = can_fall_back.then_some(fallback).ok_or_else(uncounted);
            let (engine, fallback) = PolicyErrors::both(engine, fallback)?;
            Ok((engine, Canary::new(digest, percent, compare, fallback)))
        });
        let (stable, candidate) = PolicyErrors::both(stable, candidate.transpose())?;
        Ok(Self { digest, revision, stable, candidate, services: Rc::clone(services) })
    }

    /// The SHA-256 of the document in hexadecimal digits.
    pub fn sha256(&self) -> String {
        self.digest.to_hex()
    }

    /// Whether a header of this name can carry a credential, in any spelling. As a trailer it is never forwarded.
    pub fn is_slot(&self, name: &[u8]) -> bool {
        self.engines().any(|engine| engine.is_slot(name))
    }

    /// Judges one request.
    pub fn begin<'a>(&'a self, head: &RequestHead<'a>, now: Moment, store: &dyn Store) -> Judged<'a> {
        let step = self.stable.begin_as(&self.role_of_stable(now), head, now, store);
        self.after_stable(step, head, now, store)
    }

    /// Goes on with a request, now that its fetch is done.
    pub fn resume<'a>(
        &'a self,
        waiting: Waiting,
        resolution: Resolution,
        head: &RequestHead<'a>,
        now: Moment,
        store: &dyn Store,
    ) -> Judged<'a> {
        match waiting.0 {
            At::Stable(pending) => {
                let role = self.role_of_stable(now);
                let step = self.stable.resume_as(&role, pending, resolution, head, now, store);
                self.after_stable(step, head, now, store)
            }
            At::Candidate { pending, stable, decides } => {
                let Some((engine, canary)) = &self.candidate else { return self.undecided() };
                let step = engine.resume_as(&|_| role(decides), pending, resolution, head, now, store);
                match step {
                    engine::Step::Decide(decision) => {
                        let observations = compare(canary, &stable, &decision, decides, head, now, store);
                        self.finish(engine, decision, observations, head)
                    }
                    engine::Step::Fetch(fetch, pending) => {
                        Judged::waits(fetch, Waiting(At::Candidate { pending, stable, decides }))
                    }
                }
            }
        }
    }

    /// Goes on with a judgement that nobody waits for: what it tells, and what it needs next.
    pub fn conclude(
        &self,
        waiting: Waiting,
        resolution: Resolution,
        head: &RequestHead<'_>,
        now: Moment,
        store: &dyn Store,
    ) -> (Vec<Observation>, Option<Aside>) {
        let Judged { next, observations, aside } = self.resume(waiting, resolution, head, now, store);
        match next {
            Next::Decide(_) => (observations, aside),
            Next::Wait(fetch, waiting) => (observations, Some(Aside { fetch: *fetch, waiting })),
        }
    }

    /// The fetches that are due and that no request waits for. A host asks about once a second; what other workers have
    /// told since is heard by the way.
    pub fn due(&self, now: Moment, store: &dyn Store) -> Vec<Fetch> {
        self.engines().for_each(|engine| engine.listen(now, store));
        if let Some((_, canary)) = &self.candidate {
            canary.listen(store);
        }
        self.services.due(now)
    }

    /// Takes note of the answer to a forwarded request.
    pub fn answered(&self, sent: Sent, answer: &dyn AnswerHead, now: Moment, store: &dyn Store) {
        match &self.candidate {
            Some((engine, _)) if sent.by_candidate => engine.answered(sent, answer, now, store),
            _ if sent.by_candidate => {}
            _ => self.stable.answered(sent, answer, now, store),
        }
    }

    fn engines(&self) -> impl Iterator<Item = &Engine> {
        std::iter::once(&self.stable).chain(self.candidate.iter().map(|(engine, _)| engine))
    }

    /// The part that the stable policy has in a request of a principal.
    fn role_of_stable(&self, now: Moment) -> impl Fn(&TokenDigest) -> Role {
        move |principal| {
            let decides = |(_, canary): &(Engine, Canary)| canary.decides(Some(principal), now);
            role(!self.candidate.as_ref().is_some_and(decides))
        }
    }

    /// Whether nobody could be refused, so that a request waits for nothing, and whatever goes wrong it goes on.
    pub fn decides_nothing(&self) -> bool {
        let candidate = self.candidate.as_ref();
        self.stable.is_shadow()
            && candidate.is_none_or(|(engine, canary)| engine.is_shadow() || canary.percent() == 0)
    }

    fn after_stable<'a>(
        &'a self,
        step: engine::Step<'a>,
        head: &RequestHead<'a>,
        now: Moment,
        store: &dyn Store,
    ) -> Judged<'a> {
        let decision = match step {
            engine::Step::Decide(decision) => decision,
            engine::Step::Fetch(fetch, pending) if self.decides_nothing() => {
                let aside = Aside { fetch: *fetch, waiting: Waiting(At::Stable(pending)) };
                return Judged { aside: Some(aside), ..self.undecided() };
            }
            engine::Step::Fetch(fetch, pending) => {
                return Judged::waits(fetch, Waiting(At::Stable(pending)));
            }
        };
        let Some((engine, canary)) = &self.candidate else {
            return self.finish(&self.stable, decision, Vec::new(), head);
        };
        let principal = decision.principal.as_ref().map(Principal::digest);
        let decides = canary.decides(principal.as_ref(), now);
        if !decides && !canary.compares(now) {
            return self.finish(&self.stable, decision, Vec::new(), head);
        }
        let stable = Outcome::of(&decision);
        match engine.begin_as(&|_| role(decides), head, now, store) {
            engine::Step::Decide(candidate) => {
                let observations = compare(canary, &stable, &candidate, decides, head, now, store);
                let (engine, mut chosen, other) =
                    if decides { (engine, candidate, decision) } else { (&self.stable, decision, candidate) };
                chosen.refresh.extend(other.refresh);
                self.finish(engine, chosen, observations, head)
            }
            engine::Step::Fetch(fetch, pending) => {
                let waiting = Waiting(At::Candidate { pending, stable, decides });
                if decides {
                    return Judged::waits(fetch, waiting);
                }
                let aside = Some(Aside { fetch: *fetch, waiting });
                Judged { aside, ..self.finish(&self.stable, decision, Vec::new(), head) }
            }
        }
    }

    /// The decision of the policy that decides, or in shadow mode what it would have been.
    fn finish<'a>(
        &'a self,
        engine: &'a Engine,
        mut decision: Decision<'a>,
        mut observations: Vec<Observation>,
        head: &RequestHead<'_>,
    ) -> Judged<'a> {
        decision.sent.by_candidate = !std::ptr::eq(engine, &raw const self.stable);
        if let Some(mut report) = decision.status.take() {
            self.describe(&mut report);
            decision.verdict = Verdict::Answer(status::reply(&report));
        } else if engine.is_shadow() {
            observations.push(Observation::shadow(&decision, head));
            decision = decision.pass(engine.tells_upstreams());
        }
        Judged { next: Next::Decide(decision), observations, aside: None }
    }

    /// Adds to a status what is tried.
    fn describe(&self, report: &mut Value) {
        let candidate = self.candidate.as_ref().map(|(engine, canary)| {
            json!({"sha256": engine.sha256(), "percent": canary.percent(), "has_failed": canary.has_failed()})
        });
        if let Some(policy) = report.get_mut("policy").and_then(Value::as_object_mut) {
            policy.insert("revision".to_owned(), self.revision.into());
            policy.insert("candidate".to_owned(), candidate.into());
        }
    }

    /// A request that goes on untouched before it is decided what would become of it.
    fn undecided(&self) -> Judged<'_> {
        let next = Next::Decide(Decision::undecided(self.stable.tells_upstreams()));
        Judged { next, observations: Vec::new(), aside: None }
    }
}

fn uncounted() -> PolicyErrors {
    let message = "in this host no memory is shared in which refusals could be counted: remove it, and watch what is logged";
    PolicyErrors::one("fallback", message)
}

const fn role(decides: bool) -> Role {
    if decides { Role::Decides } else { Role::Shadows }
}

/// What is to be told where both have judged a request.
fn compare(
    canary: &Canary,
    stable: &Outcome,
    candidate: &Decision<'_>,
    decides: bool,
    head: &RequestHead<'_>,
    now: Moment,
    store: &dyn Store,
) -> Vec<Observation> {
    let mut observations = Vec::new();
    let outcome = Outcome::of(candidate);
    observations.push(Observation::compared(*stable == outcome, decides));
    if *stable != outcome {
        observations.push(Observation::divergence(stable, &outcome, candidate, decides, head));
    }
    if decides && stable.is_forward() && !outcome.is_forward() && canary.refused(now, store) {
        observations.push(Observation::fallback());
    }
    observations
}

impl Judged<'_> {
    fn waits(fetch: Box<Fetch>, waiting: Waiting) -> Self {
        Self { next: Next::Wait(fetch, waiting), observations: Vec::new(), aside: None }
    }
}
