//! The registry of a suite: it answers as the suite says, and counts requests as the real one does.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use keyswap_core::limit::{Gcra, RateLimit};
use serde::Deserialize;
use serde_json::{Value, json};

use super::digest::digest_of;

/// An answer of a service.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    /// The request target.
    pub target: String,
    /// The status, where it is not 200.
    pub status: Option<u16>,
    /// The body.
    pub body: String,
}

/// The answer of the registry for a token; it knows no others.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// The token.
    pub token: String,
    /// The record, to which the token's digest is added where it has none.
    pub record: Option<Value>,
    /// The status, where it is not 200.
    pub status: Option<u16>,
    /// The body, where it is no record.
    pub body: Option<String>,
}

/// A registry in memory for a suite, which also answers for all other services.
pub struct CaseRegistry {
    tokens: Vec<Registered>,
    fetched: Vec<Served>,
    /// The theoretical arrival time of each token, see [`Gcra`].
    taken: Mutex<BTreeMap<String, i64>>,
}

impl CaseRegistry {
    /// Returns one that knows these tokens and answers, from which nothing was taken yet.
    pub(super) fn new(tokens: Vec<Registered>, fetched: Vec<Served>) -> Self {
        Self { tokens, fetched, taken: Mutex::default() }
    }

    /// Returns its answer to a request.
    pub fn answer(&self, target: &str, body: &[u8]) -> (u16, Vec<u8>) {
        if let Some(served) = self.fetched.iter().find(|served| served.target == target) {
            return (served.status.unwrap_or(200), served.body.clone().into_bytes());
        }
        match target.strip_prefix("/v1/tokens/") {
            Some(digest) => self.record(digest),
            None if target == "/v1/limits" => self.take(body).unwrap_or((400, Vec::new())),
            None => (200, br#"{"sequence":0,"reset":false,"changes":[]}"#.to_vec()),
        }
    }

    /// The limit in the question is the one that the record has, or the policy.
    fn take(&self, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let question: Value = serde_json::from_slice(body).ok()?;
        let requests = u32::try_from(question["requests"].as_u64()?).ok()?;
        let seconds = question["per"].as_str()?.strip_suffix('s')?.parse().ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_nanos();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let before = taken.get(question["sha256"].as_str()?).copied();
        let (after, answer) =
            Gcra::new(RateLimit::new(requests, seconds)?).take(before, i64::try_from(now).ok()?);
        taken.insert(question["sha256"].as_str()?.to_owned(), after);
        let answer = json!({
            "allowed": answer.allowed, "limit": answer.limit, "remaining": answer.remaining,
            "retry_after": answer.retry_after, "reset": answer.reset, "window": answer.window,
        });
        Some((200, answer.to_string().into_bytes()))
    }

    fn record(&self, digest: &str) -> (u16, Vec<u8>) {
        let of_token = |entry: &&Registered| digest_of(&entry.token) == digest;
        let Some(entry) = self.tokens.iter().find(of_token) else {
            return (404, br#"{"code":"unknown_token"}"#.to_vec());
        };
        let body = match (&entry.record, &entry.body) {
            (Some(record), _) => {
                let mut record = record.clone();
                if let Some(members) = record.as_object_mut() {
                    members.entry("sha256").or_insert_with(|| digest.into());
                }
                record.to_string()
            }
            (None, body) => body.clone().unwrap_or_default(),
        };
        (entry.status.unwrap_or(200), body.into_bytes())
    }
}
