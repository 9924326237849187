//! The effects of a change of policy on the requests of an access log.
//!
//! The log holds no credential: a caller is its principal's id, and the path of a forwarded request is the one that the
//! upstream got. So a request is retraced under the policy that the log was written under, in every way in which it may
//! have been asked. Each way is judged under both policies.
//!
//! Nothing is said of a request whose ways end differently, or which depends on a fact that neither policy has. A
//! caller is taken to have sent one credential. Budgets are left out, and a credential counts as there if any of its
//! sources can have one.
//!
//! Nothing here makes a [`Grant`](crate::judge::admit::Grant), so nothing is forwarded and no secret is opened.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::admit::{RequestTraits, Scoped};
use super::engine::Engine;
use super::progress::{Context, Exit, Part, Progress};
use super::tell::{ALLOWED, ANSWERED};
use super::verify::{Caller, Presented, VerifiedToken};
use crate::answer::{CheckError, Reason, is_forwarded};
use crate::base::{Moment, UnixTime};
use crate::host::{Environment, MemoryStore};
use crate::identity::{CallerKind, CallerRecord, Models, Scope, TokenStatus};
use crate::policy::{Policy, PolicyErrors};
use crate::provider::Route;
use crate::request::{Header, HeaderNames, RequestHead, Slot};
use crate::services::{FetchResults, Services};
use crate::syntax::RequestPath;

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
    },
    /// A verdict cannot be derived from the log.
    NotReplayable(NotReplayable),
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
    /// The policy decides otherwise than the log says, so the log was written under another policy.
    AnotherPolicy,
    /// The request may have been asked in ways that the other policy decides differently.
    Ambiguous,
}

impl LoggedRequest<'_> {
    /// Returns whether the refusal was not in the policy's hands: a budget, a service, the host, a token in the URL.
    fn would_pass(&self) -> bool {
        const FOR_NOW: [Reason; 5] = [
            Reason::RateLimited,
            Reason::RateLimitUnavailable,
            Reason::UpstreamCredentialUnavailable,
            Reason::TokenMisplaced,
            Reason::HostFailure,
        ];
        FOR_NOW.iter().any(|reason| reason.code() == self.reason)
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
            Self::AnotherPolicy => {
                "decided otherwise than the old policy decides: written under another policy"
            }
            Self::Ambiguous => "asked in a way that is not in the log, and that matters to the new policy",
        }
    }
}

/// The records that both policies have of a principal; `None` where there is no such token.
struct Records {
    before: Option<Arc<CallerRecord>>,
    after: Option<Arc<CallerRecord>>,
    /// Set where the registry knows the principal. Its record is then only what the log implies.
    of_registry: bool,
}

/// A way in which a request may have been asked.
struct PossibleRequest {
    path: String,
    slot: Option<Slot>,
    upgrade: bool,
}

/// Slots that lead to different providers where neither a segment nor the path does: one for each.
const SLOTS: [Option<Slot>; 3] = [None, Some(Slot::XApiKey), Some(Slot::QueryKey)];

/// A policy that logged requests are judged by.
pub struct ReplayPolicy(Engine);

impl ReplayPolicy {
    /// Compiles a policy. `environment` should have a value for every variable, be it a placeholder.
    ///
    /// # Errors
    /// Abilities that the host lacks, and secrets that cannot stand in a header.
    pub fn new(
        policy: Policy,
        environment: &dyn Environment,
        services: &Rc<Services>,
    ) -> Result<Self, PolicyErrors> {
        Engine::new(policy, environment, services).map(Self)
    }

    /// Returns what this policy and `other` say of a request that was logged under this one.
    pub fn replay(&self, logged: &LoggedRequest<'_>, other: &Self) -> ReplayOutcome {
        self.0.replay(logged, &other.0)
    }
}

impl Engine {
    fn replay(&self, logged: &LoggedRequest<'_>, other: &Self) -> ReplayOutcome {
        let records = match self.records(logged, other) {
            Ok(records) => records,
            Err(why) => return ReplayOutcome::NotReplayable(why),
        };
        let mut ways = self.possible_requests(logged);
        ways.retain(|way| {
            let before = self.judge_logged(logged, way, records.before.as_ref());
            before.provider == logged.provider
                && (before.reason == logged.reason || (before.reason == ALLOWED && logged.would_pass()))
        });
        // The log does not say of a refused request that it asked for a WebSocket, and few do.
        if ways.iter().any(|way| way.upgrade == logged.upgraded) {
            ways.retain(|way| way.upgrade == logged.upgraded);
        }
        let Some(way) = ways.first() else {
            return ReplayOutcome::NotReplayable(NotReplayable::AnotherPolicy);
        };
        let before = self.judge_logged(logged, way, records.before.as_ref());
        let after = other.judge_logged(logged, way, records.after.as_ref());
        let differs =
            |way: &PossibleRequest| other.judge_logged(logged, way, records.after.as_ref()) != after;
        // The log does not name the slot.
        let may_be_overlooked = self.policy.slots.iter().any(|slot| !other.policy.slots.contains(slot));
        if may_be_overlooked || ways.iter().skip(1).any(differs) {
            return ReplayOutcome::NotReplayable(NotReplayable::Ambiguous);
        }
        if records.of_registry && records.after.is_some() && after.provider != logged.provider {
            return ReplayOutcome::NotReplayable(NotReplayable::Registry);
        }
        ReplayOutcome::Judged { before, after }
    }

    fn records(&self, logged: &LoggedRequest<'_>, other: &Self) -> Result<Records, NotReplayable> {
        // A request to Keyswap itself may be answered under one policy and not under the other.
        if logged.reason == ANSWERED || logged.path.starts_with("/.well-known/") {
            return Err(NotReplayable::Answered);
        }
        if logged.principal.is_empty() {
            return Err(NotReplayable::NoPrincipal);
        }
        if self.is_person(logged.principal) {
            return Err(NotReplayable::Identity);
        }
        let before = self.authenticator.tokens().find_by_id(logged.principal).cloned();
        let after = other.authenticator.tokens().find_by_id(logged.principal).cloned();
        if before.is_some() {
            let may_be_looked_up = after.is_none() && other.authenticator.registry().is_some();
            let records = Records { before, after, of_registry: false };
            return if may_be_looked_up { Err(NotReplayable::Registry) } else { Ok(records) };
        }
        match (self.authenticator.registry(), after) {
            (None, Some(_)) => Err(NotReplayable::AnotherPolicy),
            (None, None) => Err(NotReplayable::UnknownPrincipal),
            // With issuers it may be a person as well.
            (Some(_), _) if logged.reason != ALLOWED || !self.policy.issuers.is_empty() => {
                Err(NotReplayable::Registry)
            }
            // The log does not say to which credential the registry's record binds the token.
            (Some(_), after)
                if self.is_for_bound_only(logged.provider)
                    || (after.is_none() && other.is_for_bound_only(logged.provider)) =>
            {
                Err(NotReplayable::Registry)
            }
            (Some(_), after) => {
                let record_from_log = Arc::new(self.record_from_log(logged));
                let of_registry = after.is_none();
                let looked_up =
                    other.authenticator.registry().is_some().then(|| Arc::clone(&record_from_log));
                Ok(Records { before: Some(record_from_log), after: after.or(looked_up), of_registry })
            }
        }
    }

    /// Returns whether a provider has credentials for bound callers only.
    fn is_for_bound_only(&self, provider: &str) -> bool {
        let upstream = self.upstreams.iter().find(|upstream| upstream.provider == provider);
        upstream.and_then(|upstream| upstream.keys.as_ref()).is_some_and(|keys| keys.pool().is_none())
    }

    /// Returns the record that a forwarded request implies for a token that is in the registry: its provider is in
    /// scope, and the class of the endpoint is open.
    fn record_from_log(&self, logged: &LoggedRequest<'_>) -> CallerRecord {
        CallerRecord {
            kind: CallerKind::Token,
            // Any digest will do: it only chooses between keys that are all there.
            digest: self.policy.digest,
            label: String::new(),
            owner: None,
            team: None,
            status: TokenStatus::Active,
            scope: Scope::read(["*", "mint"].map(|class| format!("{}:{class}", logged.provider))),
            models: Models::all(),
            expires_at: None,
            rate_limit: None,
        }
    }

    fn is_person(&self, id: &str) -> bool {
        self.policy.people.values().any(|record| record.id() == id)
    }

    /// Returns the ways in which the request may have been asked.
    fn possible_requests(&self, logged: &LoggedRequest<'_>) -> Vec<PossibleRequest> {
        let in_every_slot =
            |path: String, upgrade| SLOTS.map(|slot| PossibleRequest { path: path.clone(), slot, upgrade });
        if logged.reason != ALLOWED {
            let ways = [false, true].map(|upgrade| in_every_slot(logged.path.to_owned(), upgrade));
            return ways.into_iter().flatten().collect();
        }
        let provider = self.policy.providers.iter().find(|provider| provider.id == logged.provider);
        let upstream = self.upstreams.iter().find(|upstream| upstream.provider == logged.provider);
        let (Some(upstream), Some(provider)) = (upstream, provider) else { return Vec::new() };
        let below = upstream.mapping.retrace(logged.path, logged.upgraded);
        let named: Vec<String> = below.iter().map(|path| format!("/{}{path}", provider.slug)).collect();
        let unnamed = below.into_iter().filter(|path| !path.is_empty());
        // A path that names a provider here may name none to the other policy, so that the slot may matter there.
        named.into_iter().chain(unnamed).flat_map(|path| in_every_slot(path, logged.upgraded)).collect()
    }

    /// Judges a request that was asked in this way by the principal of the record.
    fn judge_logged(
        &self,
        logged: &LoggedRequest<'_>,
        way: &PossibleRequest,
        record: Option<&Arc<CallerRecord>>,
    ) -> ReplayVerdict {
        let upgrade = [Header { name: b"upgrade", value: b"websocket" }];
        let headers: &[Header<'_>] = if way.upgrade { &upgrade } else { &[] };
        let head = RequestHead::new(logged.method.as_bytes(), way.path.as_bytes(), headers);
        let path = RequestPath::parse(head.path);
        let names = HeaderNames::of(&head);
        let route = Route::find(
            (&self.policy.providers, &self.segments),
            &names,
            &head,
            path.as_ref().unwrap_or(&RequestPath::ROOT),
            way.slot,
        );
        let judged = match path {
            _ if !is_forwarded(logged.method.as_bytes()) => Err(Reason::MethodNotAllowed),
            Err(fault) => Err(CheckError::Path(fault).reason()),
            Ok(_) => record
                .ok_or(Reason::TokenInvalid)
                .and_then(|record| self.admits(record, route, &head, logged.at)),
        };
        ReplayVerdict {
            reason: judged.map_or_else(Reason::code, |()| ALLOWED),
            provider: route.provider.to_owned(),
        }
    }

    /// Checks that the policy admits such a request of the record's principal.
    fn admits<'a>(
        &'a self,
        record: &'a Arc<CallerRecord>,
        route: Route<'a>,
        head: &RequestHead<'a>,
        at: UnixTime,
    ) -> Result<(), Reason> {
        let token = VerifiedToken::judge(record, at).map_err(|fault| fault.reason())?;
        let traits = RequestTraits {
            is_upgrade: head.is_websocket_upgrade(),
            method: head.method,
            query: None,
            headers: &[],
            token: b"",
            is_session: false,
            has_broker: self.policy.broker.is_some(),
            names: &self.names,
            metering: None,
        };
        let scoped = Scoped::new(token, route, &self.upstreams, &traits).map_err(|fault| fault.reason())?;
        if traits.is_upgrade && !self.services.host().upgrades {
            return Err(CheckError::Upgrade.reason());
        }
        let (record, token) = (Arc::clone(record), Cow::Borrowed(&b""[..]));
        let caller = Caller { record, token, slot: None, presented: Presented::Token };
        let (results, store) = (FetchResults::default(), MemoryStore::default());
        let now = Moment::from(at);
        let names = HeaderNames::of(head);
        let context =
            Context { head, names: &names, now, store: &store, results: &results, part: Part::Compares };
        match self.keys.unlock(scoped, &caller, &context, &mut Progress::new()) {
            Ok(_) => Ok(()),
            Err(Exit::Refuse(error)) => Err(error.reason()),
            Err(Exit::Fetch(_) | Exit::Answer(_) | Exit::Status) => {
                Err(Reason::UpstreamCredentialUnavailable)
            }
        }
    }
}
