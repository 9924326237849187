//! The case corpus: policies, requests, and what must become of them, as data (`tests/cases/*.yaml`).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use keyswap_core::TokenDigest;
use serde::Deserialize;
use serde_json::Value;

/// One file: a policy and its cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// What the cases have in common.
    pub about: String,
    /// The environment that the policy's credentials are in.
    pub env: BTreeMap<String, String>,
    /// The policy.
    pub policy: Value,
    /// The cases.
    pub cases: Vec<Case>,
}

/// A request and what must become of it.
#[derive(Deserialize)]
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
    /// The status with which Envoy answers before the filter sees the request.
    pub envoy: Option<u16>,
}

/// A request head.
#[derive(Deserialize)]
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
    /// The authority.
    pub authority: String,
    /// The request target.
    pub target: String,
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
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

/// Every suite of the corpus, with its file.
pub fn corpus() -> Result<Vec<(PathBuf, Suite)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        files.push(entry?.path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files.into_iter().map(|file| read(&file).map(|suite| (file, suite))).collect()
}

fn read(file: &Path) -> Result<Suite> {
    let text = expand(&fs::read_to_string(file)?);
    serde_saphyr::from_str(&text).with_context(|| format!("reading {}", file.display()))
}

/// Replaces `{{sha256:token}}` by the token's digest and `{{id:token}}` by the principal's id.
fn expand(text: &str) -> String {
    let mut parts = text.split("{{");
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inner, rest) = part.split_once("}}").unwrap_or((part, ""));
        let (kind, token) = inner.split_once(':').unwrap_or_default();
        let digest = TokenDigest::of(token.as_bytes()).to_hex();
        match kind {
            "sha256" => expanded.push_str(&digest),
            "id" => expanded.push_str(&digest[..16]),
            _ => expanded.push_str(inner),
        }
        expanded.push_str(rest);
    }
    expanded
}
