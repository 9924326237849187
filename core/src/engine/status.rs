//! `GET /.well-known/keyswap`: what this worker has in use and how fresh it is. Names, counts and times, never a value.
//!
//! Nobody is answered whom the policy does not let ask. A caller counts as one of this machine only if it asks for this
//! machine by name, over the loopback address itself, and nothing says that a proxy or a web page stands behind it, since
//! either may speak for a stranger. A proxy that says nothing of itself cannot be told from a caller.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use super::Engine;
use super::caller::Caller;
use super::trail::{Inputs, Stop, Trail};
use crate::credential::Credential;
use crate::decision::Check;
use crate::fault::Fault;
use crate::head::RequestHead;
use crate::keyring::KeyRing;
use crate::path::RequestPath;
use crate::policy::StatusPolicy;
use crate::reply::LocalReply;
use crate::slot::Slot;
use crate::time::Moment;
use crate::token::{Principal, VerifiedToken};
use crate::upstream::{Freshness, Pool, SourceInUse, UpstreamCredential};

const PATH: &[u8] = b"/.well-known/keyswap";

/// Who has one of these speaks for somebody else, or may.
const GO_BETWEENS: [&str; 13] = [
    "cf-connecting-ip",
    "fastly-client-ip",
    "forwarded",
    "origin",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-peer-metadata",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
];

/// Whether a request asks for the status.
pub(super) fn is_asked(head: &RequestHead<'_>, path: &RequestPath<'_>) -> bool {
    matches!(head.method, b"GET" | b"HEAD") && path.path == PATH
}

/// The answer to whoever may ask.
pub(crate) fn reply(report: &Value) -> LocalReply {
    let headers = vec![
        ("content-type", "application/json".into()),
        ("cache-control", "no-store".into()),
        ("cross-origin-resource-policy", "same-origin".into()),
    ];
    LocalReply { status: 200, headers, body: report.to_string() }
}

impl Engine {
    /// The status, for whom `policy` lets have it.
    pub(super) fn status<'a>(
        &'a self,
        policy: StatusPolicy,
        found: Result<Option<Credential<'a>>, Slot>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Stop<'a> {
        if policy.loopback && is_local(inputs.head) {
            return Stop::Status(self.report(inputs.now));
        }
        match self.may_ask(policy, found, inputs, trail) {
            Ok(()) => Stop::Status(self.report(inputs.now)),
            Err(stop) => stop,
        }
    }

    fn may_ask<'a>(
        &'a self,
        policy: StatusPolicy,
        found: Result<Option<Credential<'a>>, Slot>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<(), Stop<'a>> {
        let Caller { record, .. } = self.caller(found, inputs, trail)?;
        trail.principal = Some(Principal::of(&record));
        let token = VerifiedToken::judge(&record, inputs.now.unix())?;
        trail.checks.push(Check::TokenValid(record.expires_at));
        let is_in_scope = token.record().providers.iter().any(|name| name == StatusPolicy::SCOPE);
        (policy.tokens && is_in_scope).then_some(()).ok_or(Fault::OutOfScope(StatusPolicy::SCOPE).into())
    }

    fn report(&self, now: Moment) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "policy": {"sha256": self.policy.digest.to_hex()},
            // Every worker has its own; the one that was asked tells of itself.
            "of": "worker",
            "now": time(now),
            "credentials": self.credentials.iter().map(|it| credential(it, now)).collect::<Map<_, _>>(),
            "providers": self.providers_in_use(),
            "issuers": self.issuer_keys.iter().zip(self.policy.issuers()).map(|(ring, issuer)| {
                (issuer.name().to_owned(), keys(ring))
            }).collect::<Map<_, _>>(),
            "registry": self.registry.as_ref().map(|registry| registry.report()),
            "caches": {
                "policy_tokens": self.policy.tokens.len(),
                "identities": self.verdicts.len(),
            },
        })
    }

    /// The providers with the names of the credentials that they share out, by weight.
    fn providers_in_use(&self) -> Map<String, Value> {
        let weights = |pool: &Pool| -> Map<String, Value> {
            let weight = |member: &crate::upstream::Member| {
                let credential = self.credentials.get(member.credential)?;
                Some((credential.name.clone(), member.weight.into()))
            };
            pool.members().iter().filter_map(weight).collect()
        };
        let provider = |upstream: &crate::upstream::Upstream| {
            let credentials = upstream.keys.as_ref().map(weights);
            let entry = json!({"authority": upstream.authority, "credentials": credentials});
            (upstream.provider.clone(), entry)
        };
        self.upstreams.iter().map(provider).collect()
    }
}

/// Whether a request is from this machine, as far as can be told.
fn is_local(head: &RequestHead<'_>) -> bool {
    let is_direct = GO_BETWEENS.iter().all(|name| head.values(name).next().is_none());
    // Envoy writes there whom it was asked by; another in front of it on this machine had a caller of its own.
    let mut askers =
        head.values("x-envoy-external-address").map(|value| str::from_utf8(value).ok()?.parse().ok());
    let is_asked_from_here = askers.all(|asker| asker.is_some_and(is_loopback));
    // A page that a person has open may call this machine, too; under another name, if it owns one.
    let is_page = head.values("sec-fetch-site").any(|site| site != b"none");
    is_direct
        && is_asked_from_here
        && !is_page
        && names_this_machine(head.authority)
        && (head.peer)().is_some_and(|peer| is_loopback(peer.to_canonical()))
}

/// Sidecars of a mesh bring strangers from other addresses of 127.0.0.0/8.
fn is_loopback(address: IpAddr) -> bool {
    address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST
}

fn names_this_machine(authority: &[u8]) -> bool {
    let host = match authority.iter().rposition(|byte| *byte == b':') {
        Some(at) if authority.get(at + 1..).is_some_and(|port| port.iter().all(u8::is_ascii_digit)) => {
            authority.get(..at).unwrap_or_default()
        }
        _ => authority,
    };
    [&b"localhost"[..], b"127.0.0.1", b"[::1]"].iter().any(|name| host.eq_ignore_ascii_case(name))
}

fn credential(credential: &UpstreamCredential, now: Moment) -> (String, Value) {
    let value = |fresh: Freshness| {
        json!({
            "state": state(&fresh),
            "fetched_at": fresh.fetched_at.map(time),
            "expires_at": fresh.expires_at.map(time),
            "failures": fresh.failures,
            "paused_until": fresh.paused_until.map(time),
        })
    };
    let source = |source: SourceInUse<'_>| {
        let SourceInUse { kind, name, freshness, in_use } = source;
        json!({"source": kind, "name": name, "value": freshness.map(value), "in_use": in_use})
    };
    let sources: Vec<Value> = credential.sources(now).into_iter().map(source).collect();
    let rests_until = credential.rests(now).map(time);
    (credential.name.clone(), json!({"sources": sources, "rests_until": rests_until}))
}

fn state(fresh: &Freshness) -> &'static str {
    match (fresh.is_usable, fresh.failures, fresh.fetched_at) {
        (true, 0, _) => "fresh",
        (true, ..) => "stale",
        (false, _, Some(_)) => "expired",
        (false, _, None) => "absent",
    }
}

fn keys(ring: &KeyRing) -> Value {
    let (keys, fetched_at, failures) = ring.report();
    json!({"keys": keys, "fetched_at": fetched_at.map(time), "failures": failures})
}

fn time(at: Moment) -> String {
    at.unix().to_string()
}
