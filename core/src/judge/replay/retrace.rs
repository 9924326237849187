//! The ways in which a logged request may have been asked, each judged under both policies.
//!
//! The log holds no credential: a caller is its principal's id, and the path of a forwarded request is the one that the
//! upstream got. So a request is retraced under the policy that the log was written under, in every way in which it may
//! have been asked. Each way is judged under both policies.
//!
//! Nothing is said of a request whose ways end differently, or which depends on a fact that neither policy has. A
//! caller is taken to have sent one credential. Rate limits are left out, and a credential counts as there if any of its
//! sources can have one. The body is not in the log: see [`super::body`].
//!
//! Nothing here makes a [`Grant`](crate::judge::admit::Grant), so nothing is forwarded and no secret is opened.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::body::{HeadVerdict, Passed};
use super::logged::{LoggedRequest, NotReplayable, ReplayOutcome, ReplayVerdict};
use crate::answer::{CheckError, Reason, is_forwarded};
use crate::base::{Moment, UnixTime};
use crate::host::{Environment, MemoryStore};
use crate::identity::{CallerRecord, Class};
use crate::judge::admit::{RequestTraits, Scoped};
use crate::judge::engine::Engine;
use crate::judge::progress::{Context, Exit, Part, Progress};
use crate::judge::tell::ALLOWED;
use crate::judge::verify::{Caller, Presented, VerifiedToken};
use crate::policy::{Policy, PolicyErrors};
use crate::provider::Route;
use crate::request::{Header, HeaderNames, RequestHead, Slot};
use crate::services::{FetchResults, Services};
use crate::syntax::RequestPath;

/// A way in which a request may have been asked.
struct PossibleRequest {
    path: String,
    slot: Option<Slot>,
    upgrade: bool,
}

/// Slots that lead to different providers where neither a segment nor the path does: one for each.
const SLOTS: [Option<Slot>; 4] = [None, Some(Slot::XApiKey), Some(Slot::QueryKey), Some(Slot::XiApiKey)];

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
        match self.try_replay(logged, other) {
            Ok(outcome) => outcome,
            Err(why) => ReplayOutcome::NotReplayable(why),
        }
    }

    fn try_replay(&self, logged: &LoggedRequest<'_>, other: &Self) -> Result<ReplayOutcome, NotReplayable> {
        let records = self.records(logged, other)?;
        let ways = self.ways(logged, records.before.as_ref());
        let mut judged = ways.iter().map(|(way, before)| {
            let after = other.judge_head(logged, way, records.after.as_ref());
            self.judge_body(logged, before, &after, other, &records)
        });
        let verdict = judged.next().ok_or(NotReplayable::AnotherPolicy)??;
        // The log does not name the slot.
        let may_be_overlooked = self.policy.slots.order.iter().any(|slot| !other.policy.slots.has(*slot));
        if may_be_overlooked || judged.any(|another| another.as_ref() != Ok(&verdict)) {
            return Err(NotReplayable::Ambiguous);
        }
        if records.of_registry && records.after.is_some() && verdict.provider != logged.provider {
            return Err(NotReplayable::Registry);
        }
        let before = ReplayVerdict { reason: verdict_of_log(logged), provider: logged.provider.to_owned() };
        let is_metered = ways.first().is_some_and(|(_, before)| before.is_metered());
        let charge = (is_metered && logged.reason == ALLOWED)
            .then(|| Box::new(self.charge(logged, &verdict.provider, other, &records)));
        Ok(ReplayOutcome::Judged { before, after: verdict, charge })
    }

    /// Returns the ways in which the request may have been asked, each with the verdict on its head: those that the log
    /// agrees with.
    fn ways(
        &self,
        logged: &LoggedRequest<'_>,
        record: Option<&Arc<CallerRecord>>,
    ) -> Vec<(PossibleRequest, HeadVerdict)> {
        let fitting = |ways: Vec<PossibleRequest>| -> Vec<_> {
            let judged = ways.into_iter().map(|way| {
                let verdict = self.judge_head(logged, &way, record);
                (way, verdict)
            });
            judged.filter(|(_, verdict)| self.agrees(logged, verdict)).collect()
        };
        let forwarded = || fitting(self.forwarded_requests(logged));
        let mut ways = match logged.reason {
            ALLOWED => forwarded(),
            _ => fitting(refused_requests(logged)),
        };
        if ways.is_empty() && logged.reason != ALLOWED {
            // A request that is refused by its body has the upstream's path already.
            ways = forwarded();
        }
        // The log does not say of a refused request that it asked for a WebSocket, and few do.
        if ways.iter().any(|(way, _)| way.upgrade == logged.upgraded) {
            ways.retain(|(way, _)| way.upgrade == logged.upgraded);
        }
        ways
    }

    /// Returns the requests that may have led to what the upstream got.
    fn forwarded_requests(&self, logged: &LoggedRequest<'_>) -> Vec<PossibleRequest> {
        let provider = self.policy.providers.iter().find(|provider| provider.id == logged.provider);
        let upstream = self.upstreams.iter().find(|upstream| upstream.provider == logged.provider);
        let (Some(upstream), Some(provider)) = (upstream, provider) else { return Vec::new() };
        let below = upstream.mapping.retrace(logged.path, logged.upgraded);
        let named: Vec<String> = below.iter().map(|path| format!("/{}{path}", provider.slug)).collect();
        let unnamed = below.into_iter().filter(|path| !path.is_empty());
        // A path that names a provider here may name none to the other policy, so that the slot may matter there.
        named.into_iter().chain(unnamed).flat_map(|path| in_every_slot(&path, logged.upgraded)).collect()
    }

    /// Judges the head of a request that was asked in this way by the principal of the record.
    fn judge_head(
        &self,
        logged: &LoggedRequest<'_>,
        way: &PossibleRequest,
        record: Option<&Arc<CallerRecord>>,
    ) -> HeadVerdict {
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
        let passed = match path {
            _ if !is_forwarded(head.method) || (way.upgrade && head.method != b"GET") => {
                Err(Reason::MethodNotAllowed)
            }
            Err(fault) => Err(CheckError::Path(fault).reason()),
            Ok(_) => record
                .ok_or(Reason::TokenInvalid)
                .and_then(|record| self.admits(record, route, &head, logged.at)),
        };
        HeadVerdict { provider: route.provider.to_owned(), passed }
    }

    /// Checks that the policy admits the head of such a request of the record's principal.
    fn admits<'a>(
        &'a self,
        record: &'a Arc<CallerRecord>,
        route: Route<'a>,
        head: &RequestHead<'a>,
        at: UnixTime,
    ) -> Result<Passed, Reason> {
        // The log does not say which certificate the connection had.
        let token =
            VerifiedToken::judge(record, || record.certificate, at).map_err(|fault| fault.reason())?;
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
            keeps_objects: self.keeps_objects(),
        };
        let mut scoped =
            Scoped::new(token, route, &self.upstreams, &traits).map_err(|fault| fault.reason())?;
        if traits.is_upgrade && !self.services.host().upgrades {
            return Err(CheckError::Upgrade.reason());
        }
        let body = scoped.body().filter(|body| body.needs_model);
        let passed = Passed {
            models: body.and_then(|body| body.models.clone()),
            is_metered: scoped.class() == Class::Inference && (traits.is_upgrade || head.method == b"POST"),
        };
        let (record, token) = (Arc::clone(record), Cow::Borrowed(&b""[..]));
        let caller = Caller { record, token, slot: None, presented: Presented::Token };
        let (results, store) = (FetchResults::default(), MemoryStore::default());
        let now = Moment::from(at);
        let names = HeaderNames::of(head);
        let context =
            Context { head, names: &names, now, store: &store, results: &results, part: Part::Compares };
        match self.keys.unlock(&mut scoped, &caller, &context, &mut Progress::new()) {
            Ok(_) => Ok(passed),
            Err(Exit::Refuse(error)) => Err(error.reason()),
            Err(Exit::Fetch(_) | Exit::Answer(_) | Exit::Status) => {
                Err(Reason::UpstreamCredentialUnavailable)
            }
        }
    }
}

/// Returns the requests that may have been refused as they came.
fn refused_requests(logged: &LoggedRequest<'_>) -> Vec<PossibleRequest> {
    [false, true].into_iter().flat_map(|upgrade| in_every_slot(logged.path, upgrade)).collect()
}

fn in_every_slot(path: &str, upgrade: bool) -> [PossibleRequest; 4] {
    SLOTS.map(|slot| PossibleRequest { path: path.to_owned(), slot, upgrade })
}

/// Returns the verdict that the policy gave, as far as it decides: it does not decide what refuses for the moment.
fn verdict_of_log(logged: &LoggedRequest<'_>) -> &'static str {
    let known = Reason::ALL.iter().find(|reason| reason.code() == logged.reason);
    known.filter(|_| !logged.would_pass()).map_or(ALLOWED, |reason| reason.code())
}
