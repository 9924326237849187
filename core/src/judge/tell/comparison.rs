//! Comparisons: a decision as an outcome, which is compared with another policy's.

use super::decision::{Decision, Verdict};
use super::observation::Observation;
use super::outcome::{About, Outcome};
use crate::base::Digest;
use crate::judge::progress::Check;
use crate::request::{RequestHead, request_id};

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
}

/// Returns the name of the credential that the caller is bound to. That of a pool is not compared: a cooldown changes it.
fn bound_credential<'a>(checks: &[Check<'a>]) -> Option<&'a str> {
    let mut checks = checks.iter().skip_while(|check| !matches!(check, Check::Bound { .. }));
    checks.find_map(|check| if let Check::HasCredential(name) = check { Some(*name) } else { None })
}

impl About {
    pub(crate) fn of(decision: &Decision<'_>, head: &RequestHead<'_>) -> Self {
        Self {
            provider: decision.facts.provider.to_owned(),
            principal: decision.facts.principal.clone(),
            request_id: request_id(head).map(str::to_owned),
        }
    }
}

impl Observation {
    /// Returns the observation of the outcome that a request would have had.
    pub(crate) fn shadow(decision: &Decision<'_>, head: &RequestHead<'_>) -> Self {
        let is_refused = matches!(decision.verdict, Verdict::Reply(..));
        let about = About::of(decision, head);
        Self::would_be(decision.verdict_name(), decision.reason_code(), is_refused, &about)
    }
}
