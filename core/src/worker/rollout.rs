//! The policies in force: a stable one, and a candidate that may be tried beside it.
//!
//! The stable policy judges every request first, which tells the principal. Then the candidate decides for its share of
//! principals; for others its decision is only compared. Where both judged a request, a difference is reported.
//!
//! The policy that does not decide takes nothing from any budget, delays nothing, and learns nothing of keys. A policy
//! in shadow mode decides nothing either: it only reports, and the request passes untouched.

use std::rc::Rc;

use super::canary::Canary;
use super::next::{Background, Next};
use super::ticket::{Comparison, Entry, Issuer, Stage, Ticket};
use crate::base::{Digest, Moment};
use crate::host::{Environment, Store};
use crate::identity::Principal;
use crate::judge::{
    About, Admitted, AnswerHead, CandidateFacts, Compared, Decision, Engine, Observation, Outcome, OwnKey,
    Part, Request, RequestJudge, RolloutFacts, Sent, Watch, Watched,
};
use crate::policy::{CandidatePolicy, PolicyErrors, RolloutPolicy};
use crate::request::RequestHead;
use crate::services::{Fetch, FetchResults, Resolution, Services};

/// A stable policy, the candidate that may be tried, and the services that both ask.
pub(crate) struct Rollout {
    /// The identity of these policies on tickets.
    issuer: Rc<Issuer>,
    digest: Digest,
    /// The revision of a fetched policy.
    revision: Option<u64>,
    stable: Engine,
    candidate: Option<(Engine, Canary)>,
    services: Rc<Services>,
}

impl Rollout {
    /// Compiles the policies for a host.
    ///
    /// # Errors
    /// The errors of [`Engine::new`], behind `stable.` and `candidate.`. A fallback is an error in a host without
    /// shared memory, where refusals cannot be counted.
    pub(super) fn new(
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
            let counts = candidate.check_fallback(services.host());
            let CandidatePolicy { policy, percent, compare, fallback } = candidate;
            let engine =
                Engine::new(policy, environment, services).map_err(|errors| errors.within("candidate"));
            let (engine, ()) = PolicyErrors::both(engine, counts)?;
            Ok((engine, Canary::new(digest, percent, compare, fallback)))
        });
        let (stable, candidate) = PolicyErrors::both(stable, candidate.transpose())?;
        let (issuer, services) = (Rc::new(Issuer), Rc::clone(services));
        Ok(Self { issuer, digest, revision, stable, candidate, services })
    }

    /// Returns the SHA-256 of the document.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// Tells whether access logs get the values of a request. A candidate changes no log.
    pub(super) fn tells_access_log(&self) -> bool {
        self.stable.tells_access_log()
    }

    /// Tells whether a header of this name can carry a credential, in any spelling.
    pub(super) fn is_slot(&self, name: &[u8]) -> bool {
        self.engines().any(|engine| engine.is_slot(name))
    }

    /// Judges a request that is new or goes on. One that other policies began to judge begins anew.
    pub(super) fn judge<'a>(&'a self, entry: Entry, request: &Request<'a, '_>) -> Next<'a> {
        if let Entry::Resumed(ticket, resolution) = entry
            && let Some(stage) = ticket.stage(&self.issuer)
        {
            return self.resume(stage, resolution, request);
        }
        self.judge_stable(FetchResults::default(), request)
    }

    /// Goes on with a judgement in the background; `None` where other policies began it.
    pub(super) fn resume_background<'a>(
        &'a self,
        ticket: Ticket,
        resolution: Resolution,
        request: &Request<'a, '_>,
    ) -> Option<Next<'a>> {
        let next = self.resume(ticket.stage(&self.issuer)?, resolution, request);
        Some(match next {
            Next::Decide(mut decision, background) => {
                // The request went on before, and its body with it.
                let watch = decision.follow_up.watch.take();
                let told = watch.map(|watch| self.tell(watch.end(), request.now, request.store));
                decision.follow_up.observations.extend(told.into_iter().flatten());
                Next::Decide(decision, background)
            }
            next @ Next::Fetch(..) => next,
        })
    }

    /// Returns the observations of a body that was watched.
    pub(super) fn tell(&self, watched: Watched, now: Moment, store: &dyn Store) -> Vec<Observation> {
        let Watched { mut observations, compared } = watched;
        if let Some((compared, (_, canary))) = compared.as_ref().zip(self.candidate.as_ref()) {
            observations.extend(observe(compared, canary, now, store));
        }
        observations
    }

    fn resume<'a>(&'a self, stage: Stage, resolution: Resolution, request: &Request<'a, '_>) -> Next<'a> {
        match (stage, &self.candidate) {
            (Stage::Stable(suspended), _) => self.judge_stable(suspended.resolve(resolution), request),
            (Stage::Candidate(suspended, comparison), Some((engine, canary))) => {
                let part = Part::of(comparison.candidate_decides);
                match engine.judge(suspended.resolve(resolution), part, &self.facts(), request) {
                    Ok(mut decision) => {
                        let observations = compare(comparison, canary, &mut decision, None, request);
                        self.finish(engine, &mut decision, observations, request.head);
                        Next::Decide(decision, None)
                    }
                    Err((fetch, suspended)) => {
                        Next::Fetch(fetch, self.ticket(Stage::Candidate(suspended, comparison)))
                    }
                }
            }
            (Stage::Candidate(..), None) => Next::Decide(self.undecided(), None),
        }
    }

    fn ticket(&self, stage: Stage) -> Ticket {
        Ticket::new(&self.issuer, stage)
    }

    fn judge_stable<'a>(&'a self, results: FetchResults, request: &Request<'a, '_>) -> Next<'a> {
        let part = match &self.candidate {
            Some((_, canary)) => Part::DecidesOutside(canary.share()),
            None => Part::Decides,
        };
        match self.stable.judge(results, part, &self.facts(), request) {
            Ok(mut decision) => match &self.candidate {
                None => {
                    self.finish(&self.stable, &mut decision, Vec::new(), request.head);
                    Next::Decide(decision, None)
                }
                Some(candidate) => self.judge_candidate(candidate, decision, request),
            },
            Err((fetch, suspended)) if self.decides_nothing() => {
                let ticket = self.ticket(Stage::Stable(suspended));
                Next::Decide(self.undecided(), Some(Background { fetch, ticket }))
            }
            Err((fetch, suspended)) => Next::Fetch(fetch, self.ticket(Stage::Stable(suspended))),
        }
    }

    fn judge_candidate<'a>(
        &'a self,
        (engine, canary): &'a (Engine, Canary),
        mut decision: Box<Decision<'a>>,
        request: &Request<'a, '_>,
    ) -> Next<'a> {
        let head = request.head;
        let principal = decision.facts.principal.clone();
        let digest = principal.as_ref().map(Principal::digest);
        let candidate_decides = canary.share().includes(digest.as_ref(), request.now);
        if !candidate_decides && !canary.compares(request.now) {
            self.finish(&self.stable, &mut decision, Vec::new(), head);
            return Next::Decide(decision, None);
        }
        let (stable, judge) = (Outcome::of(&decision), decision.another_judge(head).map(Box::new));
        let comparison = Comparison { stable, judge, principal, candidate_decides };
        let part = Part::of(candidate_decides);
        match engine.judge(FetchResults::default(), part, &self.facts(), request) {
            Ok(mut candidate) if candidate_decides => {
                candidate.follow_up.refresh.append(&mut decision.follow_up.refresh);
                let observations = compare(comparison, canary, &mut candidate, None, request);
                self.finish(engine, &mut candidate, observations, head);
                Next::Decide(candidate, None)
            }
            Ok(mut candidate) => {
                decision.follow_up.refresh.append(&mut candidate.follow_up.refresh);
                let observations = compare(comparison, canary, &mut candidate, Some(&mut decision), request);
                self.finish(&self.stable, &mut decision, observations, head);
                Next::Decide(decision, None)
            }
            Err((fetch, suspended)) => {
                let ticket = |comparison| self.ticket(Stage::Candidate(suspended, comparison));
                if candidate_decides {
                    return Next::Fetch(fetch, ticket(comparison));
                }
                // The request goes on, and its body with it.
                let ticket = ticket(Comparison { judge: None, ..comparison });
                self.finish(&self.stable, &mut decision, Vec::new(), head);
                Next::Decide(decision, Some(Background { fetch, ticket }))
            }
        }
    }

    /// Completes the decision of the policy that decides; in shadow mode the request passes.
    fn finish<'a>(
        &'a self,
        engine: &'a Engine,
        decision: &mut Decision<'a>,
        mut observations: Vec<Observation>,
        head: &RequestHead<'_>,
    ) {
        decision.follow_up.sent.by_candidate = !std::ptr::eq(engine, &raw const self.stable);
        if engine.is_shadow() && decision.is_for_another_host() {
            // It is no business of this policy: not reported, and its upstream gets no header.
            decision.pass(false);
        } else if engine.is_shadow() && !decision.follow_up.tells_status {
            match decision.another_judge(head) {
                Some(judge) => {
                    let (outcome, about) = (Outcome::of(decision), About::of(decision, head));
                    decision.follow_up.watch.get_or_insert_default().shadow(outcome, judge, about);
                }
                None => observations.push(Observation::shadow(decision, head)),
            }
            decision.pass(engine.tells_upstreams());
        }
        decision.follow_up.observations = observations;
    }

    /// Returns the decision about a request that passes before its outcome is known.
    pub(super) fn undecided(&self) -> Box<Decision<'_>> {
        Box::new(Decision::undecided(self.stable.tells_upstreams()))
    }

    /// Tells whether no request can be refused. Then no request waits, and every request passes whatever goes wrong.
    pub(super) fn decides_nothing(&self) -> bool {
        let candidate = self.candidate.as_ref();
        self.stable.is_shadow()
            && candidate.is_none_or(|(engine, canary)| engine.is_shadow() || canary.share().0 == 0)
    }

    /// Returns the fetches that are due and that no request waits for, and takes over what other workers have learnt.
    pub(super) fn due(&self, now: Moment, store: &dyn Store) -> Vec<Fetch> {
        self.engines().for_each(|engine| engine.adopt_shared(now, store));
        if let Some((_, canary)) = &self.candidate {
            canary.adopt_shared(store);
        }
        self.services.due(now, store)
    }

    /// Looks again at the caller of an exchange, by the policy that would decide its next request.
    pub(super) fn look_again(
        &self,
        admitted: &Admitted,
        now: Moment,
        store: &dyn Store,
    ) -> (Option<Observation>, Vec<Fetch>) {
        let principal = admitted.principal.digest();
        let engine = match &self.candidate {
            Some((engine, canary)) if canary.share().includes(Some(&principal), now) => engine,
            _ => &self.stable,
        };
        engine.look_again(admitted, now, store)
    }

    /// Returns the observation of an upstream that rejects a key of the policy that decided.
    pub(super) fn rejected(&self, key: OwnKey, status: &str) -> Option<Observation> {
        let engine = match &self.candidate {
            Some((engine, _)) if key.by_candidate => engine,
            _ if key.by_candidate => return None,
            _ => &self.stable,
        };
        engine.rejected(key.upstream, status)
    }

    /// Returns the observations of keys that upstreams may reject, each with a count of 0.
    pub(super) fn rejectable(&self) -> Vec<Observation> {
        self.engines().flat_map(Engine::rejectable).collect()
    }

    /// Learns from the answer to a forwarded request.
    pub(super) fn learn(&self, sent: Sent, answer: &dyn AnswerHead, now: Moment, store: &dyn Store) {
        match &self.candidate {
            Some((engine, _)) if sent.by_candidate => engine.learn(sent, answer, now, store),
            _ if sent.by_candidate => {}
            _ => self.stable.learn(sent, answer, now, store),
        }
    }

    fn engines(&self) -> impl Iterator<Item = &Engine> {
        std::iter::once(&self.stable).chain(self.candidate.iter().map(|(engine, _)| engine))
    }

    fn facts(&self) -> RolloutFacts {
        let candidate = self.candidate.as_ref().map(|(engine, canary)| CandidateFacts {
            digest: engine.digest(),
            percent: canary.share().0,
            has_failed: canary.has_failed(),
        });
        RolloutFacts { revision: self.revision, candidate }
    }
}

/// Compares the decisions of both policies. Returns the observations; where the body may still change an outcome, they come
/// when the exchange of the decision that is carried out ends. `carried_out` is that of the stable policy, where it decides.
fn compare<'d>(
    comparison: Comparison,
    canary: &Canary,
    candidate: &mut Decision<'d>,
    carried_out: Option<&mut Decision<'d>>,
    request: &Request<'_, '_>,
) -> Vec<Observation> {
    let Comparison { stable, judge, principal, candidate_decides } = comparison;
    let head = request.head;
    let outcome = Outcome::of(candidate);
    let both_forward = stable.is_forward() && outcome.is_forward();
    let about = About::of(candidate, head).by(principal.as_ref());
    let compared = Compared { stable, candidate: outcome, principal, candidate_decides, about };
    let judges: [Option<RequestJudge>; 2] = [judge.map(|judge| *judge), candidate.another_judge(head)];
    if both_forward && judges.iter().any(Option::is_some) {
        let watch = Some(Box::new(Watch::comparing(compared, judges)));
        carried_out.unwrap_or(candidate).follow_up.watch = watch;
        return Vec::new();
    }
    observe(&compared, canary, request.now, request.store)
}

/// Returns the observations of a request that both policies have judged.
fn observe(compared: &Compared, canary: &Canary, now: Moment, store: &dyn Store) -> Vec<Observation> {
    let mut observations = compared.observations();
    if let Some(principal) = compared.refused_by_candidate()
        && canary.refused(&principal.digest(), now, store)
    {
        observations.push(Observation::fallback());
    }
    observations
}
