//! Comparisons: observations of judgements that decide nothing, of a candidate policy and in shadow mode.

use serde_json::{Map, Value};

use super::decision::{Decision, Verdict};
use super::observation::Observation;
use crate::base::Digest;
use crate::identity::Principal;
use crate::judge::progress::Check;
use crate::request::{RequestHead, request_id};

/// The decision of a policy, as far as it is compared.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    reason: &'static str,
    /// The digest of authority, target, and the credential of a bound caller, where the request is forwarded.
    target: Option<Digest>,
}

/// The outcomes of a request under both policies, and which of them is carried out.
pub(crate) struct Sides<'o> {
    pub(crate) stable: &'o Outcome,
    pub(crate) candidate: &'o Outcome,
    pub(crate) by_candidate: bool,
}

/// The outcome of a candidate that forwards, too, but to another place.
const ELSEWHERE: &str = "allowed_elsewhere";

impl Outcome {
    pub(crate) fn of(decision: &Decision<'_>) -> Self {
        let target = match &decision.verdict {
            // The target may have a secret in it.
            Verdict::Forward(rewrite) => {
                let bound_to = bound_credential(&decision.facts.checks).unwrap_or_default();
                Some(Digest::of(&[rewrite.authority.as_bytes(), &rewrite.path, bound_to.as_bytes()].concat()))
            }
            _ => None,
        };
        Self { reason: decision.reason_code(), target }
    }

    pub(crate) fn is_forward(&self) -> bool {
        self.target.is_some()
    }
}

/// Returns the name of the credential that the caller is bound to. That of a pool is not compared: a cooldown changes it.
fn bound_credential<'a>(checks: &[Check<'a>]) -> Option<&'a str> {
    let mut checks = checks.iter().skip_while(|check| !matches!(check, Check::Bound { .. }));
    checks.find_map(|check| if let Check::HasCredential(name) = check { Some(*name) } else { None })
}

impl Observation {
    /// Returns the observation of the outcome that a request would have had.
    pub(crate) fn shadow(decision: &Decision<'_>, head: &RequestHead<'_>) -> Self {
        let (verdict, reason) = (decision.verdict_name(), decision.reason_code());
        let provider = decision.facts.provider;
        let line = matches!(decision.verdict, Verdict::Reply(..)).then(|| {
            let fields = [("reason", reason.into())];
            line("would_refuse", &fields, decision, None, head)
        });
        Self {
            metric: format!("keyswap.shadow_decisions.verdict.{verdict}.reason.{reason}.provider.{provider}"),
            count: 1,
            line,
        }
    }

    /// Returns the observation of a request that both policies have judged.
    pub(crate) fn compared(agree: bool, by_candidate: bool) -> Self {
        let result = if agree { "same" } else { "different" };
        let side = side(by_candidate);
        Self {
            metric: format!("keyswap.comparisons.result.{result}.decided_by.{side}"),
            count: 1,
            line: None,
        }
    }

    /// Returns the observation of a request that the two policies decide differently. `decision` is the candidate's,
    /// `principal` is the caller as the stable policy knows it.
    pub(crate) fn divergence(
        sides: &Sides<'_>,
        decision: &Decision<'_>,
        principal: Option<&Principal>,
        head: &RequestHead<'_>,
    ) -> Self {
        let Sides { stable, candidate, by_candidate } = *sides;
        let is_elsewhere = stable.reason == candidate.reason;
        let other = if is_elsewhere { ELSEWHERE } else { candidate.reason };
        let (stable, provider) = (stable.reason, decision.facts.provider);
        let fields = [
            ("stable", Value::from(stable)),
            ("candidate", other.into()),
            ("decided_by", side(by_candidate).into()),
        ];
        Self {
            metric: format!("keyswap.divergences.stable.{stable}.candidate.{other}.provider.{provider}"),
            count: 1,
            line: Some(line("diverged", &fields, decision, principal, head)),
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

/// Returns a log line. `principal` is told where the decision knows none.
fn line(
    event: &str,
    fields: &[(&str, Value)],
    decision: &Decision<'_>,
    principal: Option<&Principal>,
    head: &RequestHead<'_>,
) -> String {
    let mut line = Map::new();
    line.insert("event".to_owned(), event.into());
    for (name, value) in fields {
        line.insert((*name).to_owned(), value.clone());
    }
    line.insert("provider".to_owned(), decision.facts.provider.into());
    if let Some(principal) = decision.facts.principal.as_ref().or(principal) {
        line.insert("principal".to_owned(), principal.id().into());
        line.insert("label".to_owned(), principal.label().into());
    }
    line.insert("request_id".to_owned(), request_id(head).into());
    Value::Object(line).to_string()
}
