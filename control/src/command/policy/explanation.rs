//! A decision as data, for programs, and as text, for people. Both have the same content and no credential.

use std::fmt::{self, Display, Formatter};

use keyswap_core::answer::{LocalReply, ResponseHeader};
use keyswap_core::base::UnixTime;
use keyswap_core::identity::{Class, Principal};
use keyswap_core::judge::{Check, Decision, FieldValue, Rewrite, Verdict, WouldReserve};
use keyswap_core::limit::TokenLimit;
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
    /// The amount that the request reserves, where its usage is metered.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserves: Option<Reserves>,
    #[serde(flatten)]
    outcome: Outcome,
}

/// The amount that a request reserves, as far as it is known without its body.
#[derive(Serialize)]
struct Reserves {
    tokens: u64,
    /// The cost in dollars; `None` where the model has no price or is not known.
    usd: Option<String>,
    /// The model's name in the table of prices.
    model: Option<String>,
    token_limit: Option<Limit>,
}

/// A rate limit in tokens.
#[derive(Serialize)]
struct Limit {
    tokens: u32,
    per_seconds: u32,
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
    pub(super) fn of(
        decision: &Decision<'_>,
        reserves: Option<WouldReserve>,
        judged_at: UnixTime,
        mask: &Mask,
    ) -> Self {
        Self {
            verdict: decision.verdict_name(),
            reason: decision.reason_code(),
            judged_at: judged_at.to_string(),
            provider: decision.facts.provider.to_owned(),
            class: decision.facts.class.map(Class::name),
            principal: decision.facts.principal.as_ref().map(Caller::of),
            checks: decision.facts.checks.iter().map(CheckMade::of).collect(),
            reserves: reserves.map(Reserves::of),
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

impl Reserves {
    fn of(reserves: WouldReserve) -> Self {
        let limit = |limit: TokenLimit| Limit { tokens: limit.tokens(), per_seconds: limit.seconds() };
        Self {
            tokens: reserves.tokens,
            usd: reserves.cost.map(|cost| cost.to_string()),
            model: reserves.model,
            token_limit: reserves.limit.map(limit),
        }
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
            value: Some(value.to_string()),
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
        self.reserves.iter().try_for_each(|reserves| reserves.fmt(f))?;
        self.outcome.fmt(f)
    }
}

impl Display for Reserves {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(Limit { tokens, per_seconds }) = self.token_limit {
            writeln!(f, "token limit: {tokens} in {per_seconds} seconds")?;
        }
        write!(f, "reserves: {} tokens, ", self.tokens)?;
        match (&self.usd, &self.model) {
            (Some(usd), Some(model)) => writeln!(f, "{usd} USD at the price of `{}`", visible(model)),
            _ => writeln!(f, "at no price that is known"),
        }
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
