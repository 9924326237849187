//! The requests of an access log, and the outcomes of replaying them.

use crate::answer::Reason;
use crate::base::UnixTime;
use crate::limit::Budget;
use crate::price::Nano;

/// The name in the log of every model that the prices do not have.
const OTHER: &str = "other";

/// A request as an access log has it.
#[derive(Clone, Copy, Debug)]
pub struct LoggedRequest<'l> {
    /// The time of the request.
    pub at: UnixTime,
    /// The [`Principal::id`](crate::identity::Principal::id) of the caller.
    pub principal: &'l str,
    /// The method.
    pub method: &'l str,
    /// The path without the query: the upstream's for a forwarded request, else the caller's.
    pub path: &'l str,
    /// The provider that it was for.
    pub provider: &'l str,
    /// The code of the reason, or `allowed`.
    pub reason: &'l str,
    /// Set where a WebSocket was opened.
    pub upgraded: bool,
    /// The model by its name in the prices, or `other`; empty where the request was not metered.
    pub model: &'l str,
    /// All input tokens, where they are known.
    pub input: Option<u64>,
    /// All output tokens, where they are known.
    pub output: Option<u64>,
    /// The cost at the prices of that time, where it is known.
    pub cost: Option<Nano>,
}

/// The outcome of judging a request under two policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayOutcome {
    /// Both policies have a verdict.
    Judged {
        /// The verdict of the policy that the log was written under.
        before: ReplayVerdict,
        /// The verdict of the other policy.
        after: ReplayVerdict,
        /// The charge for the request under the other policy; `None` for one that an upstream did not compute.
        charge: Option<Box<ReplayCharge>>,
    },
    /// A verdict cannot be derived from the log.
    NotReplayable(NotReplayable),
}

/// The charge for a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayCharge {
    /// The input and output tokens; `None` where the log does not tell them.
    pub tokens: Option<u64>,
    /// The cost; `None` where the log does not tell it, or the model has no price.
    pub cost: Option<Nano>,
    /// Set where the cost is that of plain input and output: what was cached is not in the log.
    pub is_estimate: bool,
    /// Set where the model has no price.
    pub is_unpriced: bool,
    /// The subjects that the policy gives a budget, each with it; `None` where the registry has the record of the caller.
    pub budgets: Option<Vec<(String, Budget)>>,
}

/// A policy's verdict, as far as the policy alone decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplayVerdict {
    /// The code of the reason, or `allowed`.
    pub reason: &'static str,
    /// The provider that the request is for.
    pub provider: String,
}

/// A reason for which a request cannot be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NotReplayable {
    /// Keyswap itself answered the request: a preflight, metadata, the status.
    Answered,
    /// The request was refused before its caller was known.
    NoPrincipal,
    /// The principal is a person, and the claims of their JWT are not in the log.
    Identity,
    /// Neither policy knows the principal.
    UnknownPrincipal,
    /// The registry's record of the principal is not in the log.
    Registry,
    /// The model decides, and the log does not name it.
    Model,
    /// The policy decides otherwise than the log says, so the log was written under another policy.
    AnotherPolicy,
    /// The request may have been asked in ways that the other policy decides differently.
    Ambiguous,
}

impl LoggedRequest<'_> {
    /// Returns whether the refusal was not in the policy's hands: a budget, a service, the host, a token in the URL.
    pub(super) fn would_pass(&self) -> bool {
        const FOR_NOW: [Reason; 7] = [
            Reason::RateLimited,
            Reason::RateLimitUnavailable,
            Reason::BudgetExceeded,
            Reason::BudgetUnavailable,
            Reason::UpstreamCredentialUnavailable,
            Reason::TokenMisplaced,
            Reason::HostFailure,
        ];
        FOR_NOW.iter().any(|reason| reason.code() == self.reason)
    }

    /// Returns the reason, where it is one that a request can be refused for by its body.
    pub(super) fn reason_of_body(&self) -> Option<Reason> {
        const OF_BODIES: [Reason; 8] = [
            Reason::ProviderNotAllowed,
            Reason::ModelNotAllowed,
            Reason::ModelMissing,
            Reason::BodyInvalid,
            Reason::BodyUnreadable,
            Reason::ModelUnpriced,
            Reason::EndpointNotAllowed,
            Reason::EndpointClassNotAllowed,
        ];
        OF_BODIES.into_iter().find(|reason| reason.code() == self.reason)
    }

    /// Returns the model's name in the prices; `None` where the log has no name.
    pub(super) fn known_model(&self) -> Option<&str> {
        Some(self.model).filter(|model| !matches!(*model, "" | OTHER))
    }

    /// Returns whether the request was metered, and its model has no price.
    pub(super) fn has_other_model(&self) -> bool {
        self.model == OTHER
    }
}

impl NotReplayable {
    /// Returns the reason's name in output for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NoPrincipal => "no_principal",
            Self::Identity => "identity",
            Self::UnknownPrincipal => "unknown_principal",
            Self::Registry => "registry",
            Self::Model => "model",
            Self::AnotherPolicy => "another_policy",
            Self::Ambiguous => "ambiguous",
        }
    }

    /// Explains the variant, for people.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Answered => "answered by Keyswap itself: a preflight, metadata, the status",
            Self::NoPrincipal => {
                "refused before the caller was known: the log does not say whose credential it was"
            }
            Self::Identity => "of a person: what the JWT said is not in the log",
            Self::UnknownPrincipal => "of a principal that neither policy knows",
            Self::Registry => {
                "of a principal whose record is in the registry: what it says is not in the log"
            }
            Self::Model => "of a model that the log does not name, and that matters to the new policy",
            Self::AnotherPolicy => {
                "decided otherwise than the old policy decides: written under another policy"
            }
            Self::Ambiguous => "asked in a way that is not in the log, and that matters to the new policy",
        }
    }
}
