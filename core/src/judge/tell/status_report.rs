//! The status: the policy, credentials and caches of this worker, and how fresh they are. Names, counts and times,
//! never a value.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::answer::LocalReply;
use crate::base::{Digest, Moment};
use crate::judge::admit::UpstreamKeys;
use crate::judge::verify::Authenticator;
use crate::policy::Policy;
use crate::services::KeyRing;
use crate::services::agent::Freshness;
use crate::upstream::{Member, Pool, ProviderKeys, SourceInUse, Upstream, UpstreamCredential};

/// The rollout that an engine is a part of, as the status tells it.
pub(crate) struct RolloutFacts {
    /// The revision of a fetched policy.
    pub(crate) revision: Option<u64>,
    pub(crate) candidate: Option<CandidateFacts>,
}

/// The candidate of a rollout, as the status tells it.
pub(crate) struct CandidateFacts {
    pub(crate) digest: Digest,
    pub(crate) percent: u8,
    pub(crate) has_failed: bool,
}

/// The parts of an engine that a status is made of.
pub(crate) struct StatusSources<'e> {
    pub(crate) policy: &'e Policy,
    pub(crate) authenticator: &'e Authenticator,
    pub(crate) keys: &'e UpstreamKeys,
    pub(crate) upstreams: &'e [Upstream],
}

/// Writes the answer to a caller that may see the status.
pub(crate) fn status_reply(sources: &StatusSources<'_>, rollout: &RolloutFacts, now: Moment) -> LocalReply {
    let headers = vec![
        ("content-type", "application/json".into()),
        ("cache-control", "no-store".into()),
        ("cross-origin-resource-policy", "same-origin".into()),
    ];
    LocalReply { status: 200, headers, body: report(sources, rollout, now).to_string() }
}

fn report(sources: &StatusSources<'_>, rollout: &RolloutFacts, now: Moment) -> Value {
    let StatusSources { policy, authenticator, keys, .. } = sources;
    let candidate = rollout.candidate.as_ref().map(|candidate| {
        let CandidateFacts { digest, percent, has_failed } = candidate;
        json!({"sha256": digest.to_hex(), "percent": percent, "has_failed": has_failed})
    });
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "policy": {
            "sha256": policy.digest.to_hex(),
            "revision": rollout.revision,
            "candidate": candidate,
        },
        // Every worker has a status of its own; this is that of the worker that was asked.
        "of": "worker",
        "now": time(now),
        "credentials": keys.iter().map(|it| credential(it, now)).collect::<Map<_, _>>(),
        "providers": providers(sources),
        "issuers": authenticator.issuers().map(|(issuer, ring)| {
            (issuer.name().to_owned(), key_ring(ring))
        }).collect::<Map<_, _>>(),
        "registry": authenticator.registry().map(|registry| registry.report()),
        "caches": {
            "policy_tokens": policy.tokens.len(),
            "identities": authenticator.remembered(),
        },
    })
}

/// Returns the providers with the names of the credentials that they share out, by weight, and of those that bound callers
/// have. It does not tell which callers those are.
fn providers(sources: &StatusSources<'_>) -> Map<String, Value> {
    let weights = |pool: &Pool| -> Map<String, Value> {
        let weight = |member: &Member| {
            let credential = sources.keys.get(member.credential)?;
            Some((credential.name.clone(), member.weight.into()))
        };
        pool.members().iter().filter_map(weight).collect()
    };
    let provider = |upstream: &Upstream| {
        let keys = upstream.keys.as_ref();
        let credentials = keys.map(|keys| keys.pool().map(weights).unwrap_or_default());
        let names = keys.into_iter().flat_map(ProviderKeys::bound).flat_map(weights);
        let bound: BTreeSet<String> = names.map(|(name, _)| name).collect();
        let entry = json!({"authority": upstream.authority, "credentials": credentials, "bound": bound});
        (upstream.provider.clone(), entry)
    };
    sources.upstreams.iter().map(provider).collect()
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
    let rests_until = credential.cools_until(now).map(time);
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

fn key_ring(ring: &KeyRing) -> Value {
    let (keys, fetched_at, failures) = ring.report();
    json!({"keys": keys, "fetched_at": fetched_at.map(time), "failures": failures})
}

fn time(at: Moment) -> String {
    at.unix().to_string()
}
