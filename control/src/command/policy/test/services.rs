//! Whoever a data plane asks: registries, agents, issuers. They answer as the file of cases says, and those that a key
//! stands for with that.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use keyswap_core::base::{Digest, Moment};
use keyswap_core::identity::jwt::{Issuer, KeySource};
use keyswap_core::limit::{Gcra, RateLimit, Taken};
use keyswap_core::services::Fetch;
use serde_json::{Value, json};

use super::issuer::StandInKey;
use super::suite::{Registered, Served, Suite};
use super::template;

/// Where the keys are that a discovery document names here.
const KEYS: &str = "/keys-of-the-stand-in";

/// What everybody answers.
pub(super) struct Answers {
    pub(super) key: StandInKey,
    pub(super) issuers: Vec<Issuer>,
    /// The issuers that the key stands for.
    stood_in: BTreeSet<String>,
    /// By the targets of requests.
    fetched: Vec<(String, u16, String)>,
    registry: Vec<(String, u16, String)>,
    /// What is left of budgets that the registry keeps, by token.
    budgets: RefCell<BTreeMap<String, Option<i64>>>,
}

impl Answers {
    pub(super) fn new(
        suite: &Suite,
        key: StandInKey,
        issuers: Vec<Issuer>,
        stood_in: BTreeSet<String>,
    ) -> Self {
        let served = |it: &Served| (it.target.clone(), it.status.unwrap_or(200), it.body.clone());
        Self {
            key,
            issuers,
            stood_in,
            fetched: suite.fetched.iter().flatten().map(served).collect(),
            registry: suite.registry.iter().map(Registered::answer).collect(),
            budgets: RefCell::default(),
        }
    }

    /// What whoever is asked answers; nothing where the file does not say.
    pub(super) fn answer(&self, fetch: &Fetch, now: Moment) -> Option<(u16, String)> {
        let field =
            |name: &str| fetch.request.headers.iter().find(|(it, _)| *it == name).map(|(_, it)| it.as_str());
        let (authority, target) =
            (field(":authority").unwrap_or_default(), field(":path").unwrap_or_default());
        let scripted = |(of, ..): &&(String, u16, String)| of == target;
        if let Some((_, status, body)) = self.fetched.iter().find(scripted) {
            return Some((*status, body.clone()));
        }
        match fetch.key.kind() {
            "discovery" => self.issuer_at(authority).map(|issuer| {
                let keys = format!("{}{KEYS}", site(issuer));
                (200, json!({"issuer": issuer.url(), "jwks_uri": keys}).to_string())
            }),
            "keys" => self.issuer_at(authority).map(|_| (200, self.key.key_set().to_string())),
            "token" if target.contains("/v1/tokens/") => Some(self.registered(target, "unknown_token")),
            "person" => Some(self.registered(target, "unknown_user")),
            "limit" => self.take(fetch.request.body.as_deref()?, now),
            _ => None,
        }
    }

    /// Keeps a budget, as the registry does.
    fn take(&self, question: &[u8], now: Moment) -> Option<(u16, String)> {
        let question: Value = serde_json::from_slice(question).ok()?;
        let requests = u32::try_from(question.get("requests")?.as_u64()?).ok()?;
        let seconds = question.get("per")?.as_str()?.strip_suffix('s')?.parse().ok()?;
        let gcra = Gcra::new(RateLimit::new(requests, seconds)?);
        let mut budgets = self.budgets.borrow_mut();
        let budget = budgets.entry(question.get("sha256")?.as_str()?.to_owned()).or_default();
        let (left, taken) = gcra.take(*budget, i64::try_from(now.0).ok()?);
        *budget = Some(left);
        let Taken { allowed, limit, remaining, retry_after, reset, window } = taken;
        let answer = json!({
            "allowed": allowed, "limit": limit, "remaining": remaining, "retry_after": retry_after, "reset": reset,
            "window": window,
        });
        Some((200, answer.to_string()))
    }

    /// What the registry answers.
    fn registered(&self, target: &str, unknown: &str) -> (u16, String) {
        let known = self.registry.iter().find(|(path, ..)| target.ends_with(path.as_str()));
        known.map_or_else(
            || (404, json!({"code": unknown}).to_string()),
            |(_, status, body)| (*status, body.clone()),
        )
    }

    /// The issuer that the key stands for and whose keys are there.
    fn issuer_at(&self, authority: &str) -> Option<&Issuer> {
        let is_there = |issuer: &&Issuer| match issuer.keys() {
            KeySource::Inline(_) => false,
            KeySource::Jwks(keys) | KeySource::Discovery(keys) => keys.endpoint.authority == authority,
        };
        self.issuers.iter().filter(|issuer| self.stood_in.contains(issuer.name())).find(is_there)
    }
}

/// Scheme and authority of where an issuer's keys are.
fn site(issuer: &Issuer) -> String {
    match issuer.keys() {
        KeySource::Inline(_) => String::new(),
        KeySource::Jwks(keys) | KeySource::Discovery(keys) => {
            let scheme = if keys.endpoint.https { "https" } else { "http" };
            format!("{scheme}://{}", keys.endpoint.authority)
        }
    }
}

impl Registered {
    /// The end of the path at which it is asked for, and what is answered.
    fn answer(&self) -> (String, u16, String) {
        let (path, member, value) = match (&self.token, &self.email) {
            (Some(token), _) => {
                let digest = Digest::of(template::fill(token, None).as_bytes()).to_hex();
                (format!("/v1/tokens/{digest}"), "sha256", digest)
            }
            (None, email) => {
                let email = email.clone().unwrap_or_default().to_ascii_lowercase();
                (format!("/v1/principals/{}", escaped(&email)), "email", email)
            }
        };
        let body = match (&self.record, &self.body) {
            (Some(record), _) => {
                let mut record = record.clone();
                if let Some(members) = record.as_object_mut() {
                    members.entry(member).or_insert_with(|| value.into());
                }
                record.to_string()
            }
            (None, body) => body.clone().unwrap_or_default(),
        };
        (path, self.status.unwrap_or(200), body)
    }
}

/// All but letters, digits, `-`, `_` and `.` percent-encoded, as the engine asks for people.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
