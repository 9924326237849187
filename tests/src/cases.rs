//! The case corpus: policies, requests, and what must become of them, as data (`tests/cases/*.yaml`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use keyswap_core::base::Digest;
use keyswap_core::host::Capabilities;
use keyswap_core::limit::{Gcra, RateLimit};
use keyswap_core::policy::Policy;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::providers;

/// One file: a policy and its cases.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// What the cases have in common.
    pub about: String,
    /// The environment that the policy's credentials are in.
    pub env: BTreeMap<String, String>,
    /// The policy.
    pub policy: Value,
    /// Whether the policy asks for what the component's hosts have not, so that it is refused there.
    #[serde(default)]
    pub only_in_envoy: bool,
    /// What the registry answers, where the policy has one.
    #[serde(default)]
    pub registry: Vec<Registered>,
    /// What other services answer that something is fetched from, all at the registry's address.
    #[serde(default)]
    pub fetched: Vec<Served>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// What a service answers.
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

/// What the registry answers for a token; it knows no others.
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

impl Suite {
    /// The upstreams that its cases name.
    pub fn hosts(&self) -> BTreeSet<&str> {
        self.cases.iter().filter_map(|case| Some(case.forward.as_ref()?.authority.as_str())).collect()
    }

    /// Whether a host can do what its policy asks for.
    pub fn fits(&self, host: Capabilities) -> Result<bool> {
        Ok(Policy::from_json(self.policy.to_string().as_bytes())?.fits(host).is_ok())
    }

    /// The registry that it speaks of, from which nothing was taken yet.
    pub fn registry(&self) -> CaseRegistry {
        CaseRegistry { tokens: self.registry.clone(), fetched: self.fetched.clone(), taken: Mutex::default() }
    }
}

/// What stands in the place of the registry, and of all else that is asked, for a suite.
pub struct CaseRegistry {
    tokens: Vec<Registered>,
    fetched: Vec<Served>,
    /// The theoretical arrival time of each token, see [`Gcra`].
    taken: Mutex<BTreeMap<String, i64>>,
}

impl CaseRegistry {
    /// Its answer to a request.
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

/// A request and what must become of it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The behaviour it shows.
    pub name: String,
    /// The request head.
    pub request: CaseRequest,
    /// What the upstream sees.
    pub forward: Option<Forwarded>,
    /// What the caller gets instead.
    pub reply: Option<Reply>,
    /// What the caller gets where the request asks for nothing of an upstream's.
    pub answer: Option<Answered>,
    /// What the caller gets where a connection cannot become a WebSocket.
    pub without_upgrades: Option<Reply>,
    /// The status with which Envoy answers before the filter sees the request.
    pub envoy: Option<u16>,
    /// The status with which Node answers before the authorizer sees the request; 0 where it closes the connection.
    pub node: Option<u16>,
    /// The target that Wasmtime shows the component, where it is another than the one that was sent.
    pub wasmtime_shows: Option<String>,
}

impl Case {
    /// What becomes of the request in a host that cannot upgrade a connection.
    #[must_use]
    pub fn where_nothing_is_upgraded(self) -> Self {
        match self.without_upgrades {
            Some(reply) => {
                Self { forward: None, answer: None, reply: Some(reply), without_upgrades: None, ..self }
            }
            None => self,
        }
    }

    /// The request as a component in Wasmtime sees it.
    pub fn as_shown_by_wasmtime(&self) -> CaseRequest {
        let target = self.wasmtime_shows.as_ref().unwrap_or(&self.request.target);
        CaseRequest { target: target.clone(), ..self.request.clone() }
    }
}

/// A request head.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseRequest {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// The header lines.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// A request as the upstream sees it, without what belongs to the connection.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Forwarded {
    /// The method, where it is not said to be the client's.
    pub method: Option<String>,
    /// The authority.
    pub authority: String,
    /// The request target.
    pub target: String,
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// An answer that is no refusal.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

/// A refusal.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The reason code.
    pub reason: String,
    /// Whose SDK understands the body.
    pub dialect: String,
}

/// Every suite of the corpus, with its place: those of the files, and those of the table of providers.
pub fn corpus() -> Result<Vec<(String, Suite)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        files.push(entry?.path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut suites = providers::suites()?;
    for file in files {
        suites.push((file.display().to_string(), read(&file)?));
    }
    Ok(suites)
}

fn read(file: &Path) -> Result<Suite> {
    let text = expand(&fs::read_to_string(file)?);
    serde_saphyr::from_str(&text).with_context(|| format!("reading {}", file.display()))
}

/// The SHA-256 by which a token is known.
pub(crate) fn digest_of(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

/// Replaces `{{sha256:token}}` by the token's digest and `{{id:token}}` by the principal's id.
fn expand(text: &str) -> String {
    let mut parts = text.split("{{");
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inner, rest) = part.split_once("}}").unwrap_or((part, ""));
        let (kind, token) = inner.split_once(':').unwrap_or_default();
        let digest = digest_of(token);
        match kind {
            "sha256" => expanded.push_str(&digest),
            "id" => expanded.push_str(&digest[..16]),
            _ => expanded.push_str(inner),
        }
        expanded.push_str(rest);
    }
    expanded
}
