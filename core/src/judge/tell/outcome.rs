//! Outcomes: the observations of judgements that decide nothing, of a candidate policy and in shadow mode.

use serde_json::{Map, Value};

use super::observation::Observation;
use crate::answer::CheckError;
use crate::base::Digest;
use crate::identity::Principal;

/// The decision of a policy, as far as it is compared.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(super) reason: &'static str,
    /// The digest of authority, target, and the credential of a bound caller, where the request is forwarded.
    pub(super) target: Option<Digest>,
}

/// The outcome of a candidate that forwards, too, but to another place.
const ELSEWHERE: &str = "allowed_elsewhere";

impl Outcome {
    /// Returns the outcome of a request that its body ends.
    pub(crate) fn refused(error: &CheckError<'_>) -> Self {
        Self { reason: error.reason().code(), target: None }
    }

    pub(crate) fn is_forward(&self) -> bool {
        self.target.is_some()
    }
}

/// The request and its caller, as the lines of observations have them.
pub(crate) struct About {
    pub(super) provider: String,
    pub(super) principal: Option<Principal>,
    pub(super) request_id: Option<String>,
}

impl About {
    /// Names the caller where the decision knows none.
    pub(crate) fn by(self, principal: Option<&Principal>) -> Self {
        Self { principal: self.principal.or_else(|| principal.cloned()), ..self }
    }
}

/// The outcomes that a request has under a stable policy and its candidate.
pub(crate) struct Compared {
    pub(crate) stable: Outcome,
    pub(crate) candidate: Outcome,
    /// The principal, as the stable policy knows it.
    pub(crate) principal: Option<Principal>,
    /// Set where the candidate's decision is carried out.
    pub(crate) candidate_decides: bool,
    pub(crate) about: About,
}

impl Compared {
    /// Returns the observations: that both have judged, and that they differ.
    pub(crate) fn observations(&self) -> Vec<Observation> {
        let Self { stable, candidate, candidate_decides: by_candidate, about, .. } = self;
        let mut observations = vec![Observation::compared(stable == candidate, *by_candidate)];
        if stable != candidate {
            observations.push(Observation::divergence(stable, candidate, *by_candidate, about));
        }
        observations
    }

    /// Returns the principal of a request that the candidate refuses and the stable policy would have forwarded.
    ///
    /// The stable policy forwards for a principal only, so a refusal that is the candidate's alone has one.
    pub(crate) fn refused_by_candidate(&self) -> Option<&Principal> {
        let is_alone = self.candidate_decides && self.stable.is_forward() && !self.candidate.is_forward();
        self.principal.as_ref().filter(|_| is_alone)
    }
}

impl Observation {
    /// Returns the observation of the outcome that a request would have had, which its body may have ended.
    pub(crate) fn shadow_of_body(outcome: &Outcome, about: &About) -> Self {
        let is_refused = !outcome.is_forward();
        Self::would_be(if is_refused { "reply" } else { "forward" }, outcome.reason, is_refused, about)
    }

    pub(super) fn would_be(verdict: &str, reason: &str, is_refused: bool, about: &About) -> Self {
        let provider = &about.provider;
        let line = is_refused.then(|| line("would_refuse", &[("reason", reason.into())], about));
        Self {
            metric: format!("keyswap.shadow_decisions.verdict.{verdict}.reason.{reason}.provider.{provider}"),
            count: 1,
            line,
        }
    }

    /// Returns the observation of a request that both policies have judged.
    fn compared(agree: bool, by_candidate: bool) -> Self {
        let result = if agree { "same" } else { "different" };
        let side = side(by_candidate);
        Self {
            metric: format!("keyswap.comparisons.result.{result}.decided_by.{side}"),
            count: 1,
            line: None,
        }
    }

    /// Returns the observation of a request that the two policies decide differently.
    fn divergence(stable: &Outcome, candidate: &Outcome, by_candidate: bool, about: &About) -> Self {
        let is_elsewhere = stable.reason == candidate.reason;
        let other = if is_elsewhere { ELSEWHERE } else { candidate.reason };
        let (stable, provider) = (stable.reason, &about.provider);
        let fields = [
            ("stable", Value::from(stable)),
            ("candidate", other.into()),
            ("decided_by", side(by_candidate).into()),
        ];
        Self {
            metric: format!("keyswap.divergences.stable.{stable}.candidate.{other}.provider.{provider}"),
            count: 1,
            line: Some(line("diverged", &fields, about)),
        }
    }

    /// Returns the observation of a candidate that refused too much.
    pub(crate) fn fallback() -> Self {
        Self {
            metric: "keyswap.fallbacks".to_owned(),
            count: 1,
            line: Some(
                r#"{"event":"fallback","message":"the stable policy decides for all again: the candidate refused too many requests that it would have forwarded"}"#
                    .to_owned(),
            ),
        }
    }
}

const fn side(by_candidate: bool) -> &'static str {
    if by_candidate { "candidate" } else { "stable" }
}

fn line(event: &str, fields: &[(&str, Value)], about: &About) -> String {
    let mut line = Map::new();
    line.insert("event".to_owned(), event.into());
    for (name, value) in fields {
        line.insert((*name).to_owned(), value.clone());
    }
    line.insert("provider".to_owned(), about.provider.as_str().into());
    if let Some(principal) = &about.principal {
        line.insert("principal".to_owned(), principal.id().into());
        line.insert("label".to_owned(), principal.label().into());
    }
    line.insert("request_id".to_owned(), about.request_id.as_deref().into());
    Value::Object(line).to_string()
}
