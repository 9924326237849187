//! What is told of judgements that decide nothing: the policy that is tried, and the one in shadow mode. As a metric, whose
//! parts are words of ours or of the policy, and as a log line that names the principal and holds no credential.

use serde_json::{Map, Value};

use crate::decision::{Decision, Verdict};
use crate::head::RequestHead;
use crate::log::request_id;
use crate::reason::Reason;
use crate::token::TokenDigest;

/// Something to count, and perhaps to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The name of the counter.
    pub metric: String,
    /// The line, one JSON object.
    pub line: Option<String>,
}

/// What a policy decided, as far as it is compared.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    reason: &'static str,
    /// Where to, for what is forwarded.
    target: Option<TokenDigest>,
}

/// Both forward, but not to the same place.
const ELSEWHERE: &str = "allowed_elsewhere";

impl Outcome {
    pub(super) fn of(decision: &Decision<'_>) -> Self {
        let target = match &decision.verdict {
            // The target may have a secret in it.
            Verdict::Forward(rewrite) => {
                Some(TokenDigest::of(&[rewrite.authority.as_bytes(), &rewrite.path].concat()))
            }
            _ => None,
        };
        Self { reason: decision.reason_code(), target }
    }

    pub(super) fn is_forward(&self) -> bool {
        self.target.is_some()
    }
}

impl Observation {
    /// A request that was refused for want of a policy: none has judged it, so it is for no provider.
    pub fn no_policy() -> Self {
        Self::unjudged(Reason::PolicyUnavailable)
    }

    /// A request that was refused because the host failed.
    pub fn host_failure() -> Self {
        Self::unjudged(Reason::HostFailure)
    }

    fn unjudged(reason: Reason) -> Self {
        Self { metric: format!("keyswap.decisions.verdict.reply.reason.{reason}.provider.none"), line: None }
    }

    /// What would have become of a request.
    pub(super) fn shadow(decision: &Decision<'_>, head: &RequestHead<'_>) -> Self {
        let (verdict, reason) = (decision.verdict_name(), decision.reason_code());
        let provider = decision.provider;
        let line = matches!(decision.verdict, Verdict::Reply(..)).then(|| {
            let fields = [("reason", reason.into())];
            line("would_refuse", &fields, decision, head)
        });
        Self {
            metric: format!("keyswap.shadow_decisions.verdict.{verdict}.reason.{reason}.provider.{provider}"),
            line,
        }
    }

    /// Both policies have judged a request.
    pub(super) fn compared(agree: bool, by_candidate: bool) -> Self {
        let result = if agree { "same" } else { "different" };
        let side = side(by_candidate);
        Self { metric: format!("keyswap.comparisons.result.{result}.decided_by.{side}"), line: None }
    }

    /// They differ.
    pub(super) fn divergence(
        stable: &Outcome,
        candidate: &Outcome,
        decision: &Decision<'_>,
        by_candidate: bool,
        head: &RequestHead<'_>,
    ) -> Self {
        let is_elsewhere = stable.reason == candidate.reason;
        let other = if is_elsewhere { ELSEWHERE } else { candidate.reason };
        let (stable, provider) = (stable.reason, decision.provider);
        let fields = [
            ("stable", Value::from(stable)),
            ("candidate", other.into()),
            ("decided_by", side(by_candidate).into()),
        ];
        Self {
            metric: format!("keyswap.divergences.stable.{stable}.candidate.{other}.provider.{provider}"),
            line: Some(line("diverged", &fields, decision, head)),
        }
    }

    /// The candidate refused too much.
    pub(super) fn fallback() -> Self {
        Self {
            metric: "keyswap.fallbacks".to_owned(),
            line: Some(
                r#"{"event":"fallback","message":"the candidate refused too many requests that the stable policy would have forwarded, which decides for all again"}"#
                    .to_owned(),
            ),
        }
    }
}

const fn side(by_candidate: bool) -> &'static str {
    if by_candidate { "candidate" } else { "stable" }
}

fn line(event: &str, fields: &[(&str, Value)], decision: &Decision<'_>, head: &RequestHead<'_>) -> String {
    let mut line = Map::new();
    line.insert("event".to_owned(), event.into());
    for (name, value) in fields {
        line.insert((*name).to_owned(), value.clone());
    }
    line.insert("provider".to_owned(), decision.provider.into());
    if let Some(principal) = &decision.principal {
        line.insert("principal".to_owned(), principal.id().into());
        line.insert("label".to_owned(), principal.label().into());
    }
    line.insert("request_id".to_owned(), request_id(head).into());
    Value::Object(line).to_string()
}
