//! The outcome of a request, as far as cases can tell of it.

use keyswap_core::answer::LocalReply;
use keyswap_core::judge::{Check, Decision, Refusal, Verdict};
use keyswap_core::request::RequestHead;

use super::seen::{Answered, Forwarded, plain};

/// The decision on a request.
pub struct Found {
    /// The verdict: `forward`, `reply` or `answer`.
    pub verdict: &'static str,
    /// The reason code.
    pub reason: &'static str,
    /// The provider.
    pub provider: String,
    /// The label of the principal.
    pub principal: Option<String>,
    /// The names of the credentials that the request carries, the provider's first.
    pub credentials: Vec<String>,
    /// The outcome.
    pub outcome: Outcome,
    /// The checks that were made, in words, and the calls that nothing answered.
    pub checks: Vec<String>,
}

/// The outcome of a request.
pub enum Outcome {
    /// The request went on, and the upstream sees it so.
    Forwarded(Forwarded),
    /// The caller got an answer instead.
    Replied(Answered),
    /// The case could not be judged.
    Failed(String),
}

impl Found {
    /// Returns what a decision says, with notes on the calls for it.
    pub(crate) fn of(decision: &Decision<'_>, head: &RequestHead<'_>, notes: Vec<String>) -> Self {
        let facts = &decision.facts;
        let credentials = facts.checks.iter().filter_map(|check| match check {
            Check::HasCredential(name) => Some((*name).to_owned()),
            Check::HostHasCredential => Some("host".to_owned()),
            _ => None,
        });
        let checks = facts.checks.iter().map(|check| format!("{}: {check}", check.stage().name()));
        Self {
            verdict: decision.verdict_name(),
            reason: decision.reason_code(),
            provider: facts.provider.to_owned(),
            principal: facts.principal.as_ref().map(|it| it.label().to_owned()),
            credentials: credentials.collect(),
            outcome: Outcome::of(decision, head),
            checks: checks.chain(notes).collect(),
        }
    }

    /// Turns the outcome into the refusal of the request's body.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        (self.verdict, self.reason) = ("reply", refusal.reason);
        self.checks.push(format!("body: {}", refusal.reason));
        self.outcome = Outcome::replied(&refusal.reply);
    }

    /// Returns the outcome of a case that could not be judged.
    pub(crate) fn failed(error: String) -> Self {
        Self {
            verdict: "none",
            reason: "none",
            provider: String::new(),
            principal: None,
            credentials: Vec::new(),
            outcome: Outcome::Failed(error),
            checks: Vec::new(),
        }
    }
}

impl Outcome {
    fn of(decision: &Decision<'_>, head: &RequestHead<'_>) -> Self {
        match &decision.verdict {
            Verdict::Forward(rewrite) => Self::Forwarded(Forwarded::of(
                // A rewrite has no say in the method.
                &plain(head.method),
                rewrite.authority,
                &plain(&rewrite.path),
                rewrite.fields(head),
            )),
            // Only a policy in shadow mode lets a request pass undecided, and a policy under test is enforced.
            Verdict::Pass(_) => Self::Failed("nothing was decided".to_owned()),
            Verdict::Reply(_, reply) | Verdict::Answer(reply) => Self::replied(reply),
        }
    }

    fn replied(reply: &LocalReply) -> Self {
        let lines = reply.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        Self::Replied(Answered::of(reply.status, lines, reply.body.clone()))
    }
}
