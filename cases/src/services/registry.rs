//! The registry of a file of cases: it answers as the file says, and keeps limits as the real one does.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use keyswap_core::base::{Digest, Moment, UnixTime};
use keyswap_core::limit::{Gcra, RateLimit, Taken};
use keyswap_core::price::Nano;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::answer::ServiceAnswer;
use crate::format::{HeldObject, Registered};
use crate::text;

/// Characters that are escaped where the engine asks for a person.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The registry.
pub(super) struct Registry {
    /// The answers, each with the end of its path.
    answers: Vec<(String, ServiceAnswer)>,
    /// The theoretical arrival time of each token, see [`Gcra`].
    arrivals: Mutex<BTreeMap<String, i64>>,
    /// The objects, by their digests.
    objects: Mutex<BTreeMap<String, Value>>,
}

impl Registry {
    /// Returns a registry with these answers and objects, at which no budget was spent yet.
    pub(super) fn of(registered: &[Registered], held: &[HeldObject]) -> Self {
        let objects = Mutex::new(held.iter().map(object).collect());
        Self { answers: registered.iter().map(answer).collect(), arrivals: Mutex::default(), objects }
    }

    /// Returns the answer; `None` where the target is none of the registry's, or the question cannot be read.
    pub(super) fn answer(&self, target: &str, body: &[u8], now: Moment) -> Option<ServiceAnswer> {
        let path = target.split('?').next().unwrap_or_default();
        if path.contains("/v1/tokens/") {
            Some(self.record(path, "unknown_token"))
        } else if path.contains("/v1/principals/") {
            Some(self.record(path, "unknown_user"))
        } else if path.ends_with("/v1/limits") {
            self.take(body, now)
        } else if path.ends_with("/v1/leases") {
            lease(body, now)
        } else if let Some((_, verb)) = path.split_once("/v1/objects/") {
            self.objects(verb, body)
        } else if path.ends_with("/v1/usage") {
            Some(ServiceAnswer { status: 204, body: String::new() })
        } else {
            let feed = json!({"sequence": 0, "history": "00000000000000aa", "reset": false, "changes": []});
            path.ends_with("/v1/changes").then(|| ServiceAnswer::ok(feed.to_string()))
        }
    }

    /// Finds, claims or removes objects.
    fn objects(&self, verb: &str, question: &[u8]) -> Option<ServiceAnswer> {
        let question: Value = serde_json::from_slice(question).ok()?;
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let asked =
            || question.get("sha256")?.as_array()?.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
        let told: Vec<Value> = match verb {
            "find" => asked()?.into_iter().filter_map(|digest| objects.get(digest).cloned()).collect(),
            "claim" => {
                let claimed = question.get("objects")?.as_array()?.iter().map(|claim| {
                    let digest = digest(claim.get("provider")?.as_str()?, claim.get("id")?.as_str()?);
                    let principal = claim.get("principal")?;
                    let object =
                        held(&digest, principal.as_str()?, claim.get("team").and_then(Value::as_str));
                    Some(objects.entry(digest).or_insert(object).clone())
                });
                claimed.collect::<Option<_>>()?
            }
            "remove" => {
                asked()?.into_iter().for_each(|digest| _ = objects.remove(digest));
                return Some(ServiceAnswer { status: 204, body: String::new() });
            }
            _ => return None,
        };
        Some(ServiceAnswer::ok(json!({ "objects": told }).to_string()))
    }

    fn record(&self, path: &str, unknown: &str) -> ServiceAnswer {
        let known = self.answers.iter().find(|(end, _)| path.ends_with(end.as_str()));
        known.map_or_else(
            || ServiceAnswer { status: 404, body: json!({"code": unknown}).to_string() },
            |(_, answer)| answer.clone(),
        )
    }

    /// Takes one request from a budget. The question brings the limit along, as that of the record or the policy.
    fn take(&self, question: &[u8], now: Moment) -> Option<ServiceAnswer> {
        let question: Value = serde_json::from_slice(question).ok()?;
        let requests = u32::try_from(question.get("requests")?.as_u64()?).ok()?;
        let seconds = question.get("per")?.as_str()?.strip_suffix('s')?.parse().ok()?;
        let digest = question.get("sha256")?.as_str()?.to_owned();
        let gcra = Gcra::new(RateLimit::new(requests, seconds)?);
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let before = arrivals.get(&digest).copied();
        let (after, taken) = gcra.take(before, i64::try_from(now.0).ok()?);
        arrivals.insert(digest, after);
        let Taken { allowed, limit, remaining, retry_after, reset, window } = taken;
        let answer = json!({
            "allowed": allowed, "limit": limit, "remaining": remaining, "retry_after": retry_after, "reset": reset,
            "window": window,
        });
        Some(ServiceAnswer::ok(answer.to_string()))
    }
}

/// Returns the digest of an object, in hexadecimal digits.
fn digest(provider: &str, id: &str) -> String {
    Digest::of(format!("object\0{provider}\0{id}").as_bytes()).to_hex()
}

/// Returns an object as the registry tells it.
fn held(digest: &str, principal: &str, team: Option<&str>) -> Value {
    json!({
        "sha256": digest, "kind": "object", "principal": principal, "owner": null, "team": team, "version": 0,
        "expires_at": null,
    })
}

fn object(object: &HeldObject) -> (String, Value) {
    let HeldObject { provider, id, token, team } = object;
    let principal = Digest::of(text::fill(token, None).as_bytes());
    let digest = digest(provider, id);
    let told = held(&digest, &principal.to_hex(), team.as_deref());
    (digest, told)
}

/// Returns the end of the path at which the registry is asked for a record, and its answer.
fn answer(registered: &Registered) -> (String, ServiceAnswer) {
    let Registered { token, email, record, status, body } = registered;
    let (path, member, value) = match (token, email) {
        (Some(token), _) => {
            let digest = Digest::of(text::fill(token, None).as_bytes()).to_hex();
            (format!("/v1/tokens/{digest}"), "sha256", digest)
        }
        (None, email) => {
            let email = email.clone().unwrap_or_default().to_ascii_lowercase();
            (format!("/v1/principals/{}", utf8_percent_encode(&email, ESCAPED)), "email", email)
        }
    };
    let body = match (record, body) {
        (Some(record), _) => {
            let mut record = record.clone();
            if let Some(members) = record.as_object_mut() {
                members.entry(member).or_insert_with(|| value.into());
            }
            record.to_string()
        }
        (None, body) => body.clone().unwrap_or_default(),
    };
    (path, ServiceAnswer { status: status.unwrap_or(200), body })
}

/// Leases each subject the whole budget that the question brings along, until an hour from now. What comes back is leased
/// anew.
fn lease(question: &[u8], now: Moment) -> Option<ServiceAnswer> {
    const NANO: u64 = 1_000_000_000;
    let question: Value = serde_json::from_slice(question).ok()?;
    let lease = |entry: &Value| {
        let subject = entry.get("subject")?.as_str()?;
        let budget = entry.get("budget").filter(|budget| !budget.is_null());
        let Some(budget) = budget else {
            return Some(json!({"subject": subject, "id": null, "unit": null, "expires_in": 60}));
        };
        let (unit, amount) = match budget.get("usd").and_then(Value::as_str) {
            Some(usd) => ("usd", Nano::from_usd(usd)?.0),
            None => ("tokens", budget.get("tokens")?.as_u64()?),
        };
        let returned = entry.get("returned").and_then(Value::as_u64).unwrap_or(0);
        let hour = i64::try_from(now.0 / NANO).ok()?.saturating_add(3600);
        Some(json!({
            "subject": subject, "id": format!("lease-of-{}", Digest::of(subject.as_bytes()).to_hex().get(..8)?), "unit": unit,
            "limit": amount, "granted": amount.saturating_add(returned), "remaining": amount, "resets_at": UnixTime(hour).to_string(), "expires_in": 60,
        }))
    };
    let leases = question.get("leases")?.as_array()?.iter().map(lease).collect::<Option<Vec<Value>>>()?;
    Some(ServiceAnswer::ok(json!({"leases": leases}).to_string()))
}
