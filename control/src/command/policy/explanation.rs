//! A decision as data, for programs, and as text, for people. Both have the same content and no credential.

use std::fmt::{self, Display, Formatter};

use keyswap_core::answer::{LocalReply, ResponseHeader};
use keyswap_core::base::UnixTime;
use keyswap_core::identity::{Class, Principal};
use keyswap_core::judge::{Check, Decision, FieldValue, Rewrite, Verdict};
use serde::Serialize;

use crate::command::terminal::output::visible;
use crate::text::mask::{self, Mask};

/// The decision on a request, with its reasons.
#[derive(Serialize)]
pub(super) struct Explanation {
    verdict: &'static str,
    reason: &'static str,
    judged_at: String,
    provider: String,
    /// The class of the endpoint, once it is known.
    class: Option<&'static str>,
    principal: Option<Caller>,
    checks: Vec<CheckMade>,
    #[serde(flatten)]
    outcome: Outcome,
}

/// The principal of the request.
#[derive(Serialize)]
struct Caller {
    id: String,
    label: String,
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<String>,
}

#[derive(Serialize)]
struct CheckMade {
    stage: &'static str,
    passed: bool,
    message: String,
}

/// The outcome of the request.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Forward {
        authority: String,
        path: String,
        remove: Vec<String>,
        set: Vec<Field>,
    },
    Reply {
        status: u16,
        headers: Vec<Field>,
        body: String,
    },
    /// The request passes unchanged: the policy is in shadow mode.
    Pass {},
}

/// A header. `value` is `None` where it derives from the caller's own header.
#[derive(Serialize)]
struct Field {
    name: String,
    value: Option<String>,
}

impl Explanation {
    pub(super) fn of(decision: &Decision<'_>, judged_at: UnixTime, mask: &Mask) -> Self {
        Self {
            verdict: decision.verdict_name(),
            reason: decision.reason_code(),
            judged_at: judged_at.to_string(),
            provider: decision.facts.provider.to_owned(),
            class: decision.facts.class.map(Class::name),
            principal: decision.facts.principal.as_ref().map(Caller::of),
            checks: decision.facts.checks.iter().map(CheckMade::of).collect(),
            outcome: match &decision.verdict {
                Verdict::Forward(rewrite) => Outcome::forward(rewrite, mask),
                Verdict::Reply(_, reply) | Verdict::Answer(reply) => Outcome::reply(reply),
                Verdict::Pass(_) => Outcome::Pass {},
            },
        }
    }

    pub(super) fn is_forward(&self) -> bool {
        matches!(self.outcome, Outcome::Forward { .. })
    }
}

impl Caller {
    fn of(principal: &Principal) -> Self {
        Self {
            id: principal.id(),
            label: principal.label().to_owned(),
            email: principal.email().map(str::to_owned),
            team: principal.team().map(str::to_owned),
        }
    }
}

impl CheckMade {
    fn of(check: &Check<'_>) -> Self {
        Self { stage: check.stage().name(), passed: check.passed(), message: check.to_string() }
    }
}

impl Outcome {
    fn forward(rewrite: &Rewrite<'_>, mask: &Mask) -> Self {
        let set = |(name, value): &(&str, FieldValue<'_>)| {
            // The remaining subprotocols are the caller's own; every other value comes from the policy.
            let is_ours = !mask::is_subprotocol(name.as_bytes());
            Field { name: (*name).to_owned(), value: is_ours.then(|| mask.apply(value)) }
        };
        Self::Forward {
            authority: rewrite.authority.to_owned(),
            path: mask.apply(&rewrite.path),
            remove: rewrite.remove.iter().map(|name| mask.apply(name)).collect(),
            set: rewrite.set.iter().map(set).collect(),
        }
    }

    fn reply(reply: &LocalReply) -> Self {
        let header = |(name, value): &ResponseHeader| Field {
            name: (*name).to_owned(),
            value: Some(value.clone().into_owned()),
        };
        Self::Reply {
            status: reply.status,
            headers: reply.headers.iter().map(header).collect(),
            body: reply.body.clone(),
        }
    }
}

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.verdict, self.reason)?;
        for check in &self.checks {
            let mark = if check.passed { "ok     " } else { "refused" };
            writeln!(f, "  {:10} {mark}  {}", check.stage, check.message)?;
        }
        writeln!(f, "provider: {}", self.provider)?;
        self.class.iter().try_for_each(|class| writeln!(f, "class of the endpoint: {class}"))?;
        if let Some(caller) = &self.principal {
            writeln!(f, "principal: {caller}")?;
        }
        writeln!(f, "judged at: {}", self.judged_at)?;
        self.outcome.fmt(f)
    }
}

impl Display for Caller {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}, label {}", self.id, visible(&self.label))?;
        self.email.iter().try_for_each(|email| write!(f, ", email {}", visible(email)))?;
        self.team.iter().try_for_each(|team| write!(f, ", team {}", visible(team)))
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward { authority, path, remove, set } => {
                writeln!(f, "forwarded as:")?;
                writeln!(f, "  authority: {authority}")?;
                writeln!(f, "  path: {}", visible(path))?;
                remove.iter().try_for_each(|name| writeln!(f, "  remove {name}"))?;
                set.iter().try_for_each(|field| writeln!(f, "  set {field}"))
            }
            Self::Pass {} => writeln!(f, "passed unchanged: the policy is in shadow mode"),
            Self::Reply { status, headers, body } => {
                writeln!(f, "answered with:")?;
                writeln!(f, "  status: {status}")?;
                headers.iter().try_for_each(|field| writeln!(f, "  {field}"))?;
                writeln!(f, "  {body}")
            }
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}: {}", self.name, visible(value)),
            None => write!(f, "{}: (the caller's own, without credentials)", self.name),
        }
    }
}
