//! The policy that is made, and what could not be taken over.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use keyswap_core::base::Digest;
use keyswap_core::policy::Policy;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::command::terminal::exit::Exit;
use crate::command::terminal::output::{self, visible};

/// The longest label that a policy takes.
const LABEL_CHARS: usize = 64;

/// A policy in the making.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) credentials: BTreeMap<String, Value>,
    pub(super) providers: BTreeMap<String, Map<String, Value>>,
    tokens: Vec<Token>,
    digests: BTreeSet<String>,
    notes: Vec<String>,
}

/// A token as policies have it.
#[derive(Serialize)]
pub(super) struct Token {
    sha256: String,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    pub(super) providers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rate_limit: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

#[derive(Serialize)]
struct Document<'d> {
    version: &'static str,
    tokens: &'d [Token],
    credentials: &'d BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    providers: &'d BTreeMap<String, Map<String, Value>>,
}

impl Token {
    pub(super) fn new(digest: &Digest, label: &str, providers: Vec<String>) -> Self {
        let label: String =
            label.trim().chars().filter(|char| !char.is_control()).take(LABEL_CHARS).collect();
        let sha256 = digest.to_hex();
        let label =
            if label.is_empty() { format!("key-{}", sha256.get(..8).unwrap_or_default()) } else { label };
        Self { sha256, label, owner: None, providers, expires_at: None, rate_limit: None, status: None }
    }

    /// Disables the token: it comes in, and may not be used until it is enabled.
    pub(super) fn disable(&mut self) {
        self.status = Some("disabled");
    }
}

impl Draft {
    /// Notes what could not be taken over, or must be done by hand. `place` is where that stands in the file.
    pub(super) fn note(&mut self, place: &str, message: impl AsRef<str>) {
        self.notes.push(visible(&format!("{place}: {}", message.as_ref())));
    }

    pub(super) fn add(&mut self, place: &str, token: Token) {
        if self.digests.insert(token.sha256.clone()) {
            self.tokens.push(token);
        } else {
            self.note(place, "the same key stands here again: left out");
        }
    }

    /// Adds a credential from an environment variable, under a name for each variable.
    pub(super) fn credential(&mut self, name: &str, variable: &str) {
        self.credentials.insert(name.to_owned(), json!([{"env": variable}]));
    }

    /// Writes the policy, and to standard error what is not in it. A policy that would not hold is not written.
    pub(super) fn finish(self, provenance: &str) -> anyhow::Result<Exit> {
        let document = Document {
            version: "keyswap/v1",
            tokens: &self.tokens,
            credentials: &self.credentials,
            providers: &self.providers,
        };
        for note in &self.notes {
            output::note(note);
        }
        if let Err(errors) = Policy::from_json(serde_json::to_string(&document)?.as_bytes()) {
            bail!("what was read makes no policy that holds:\n{}", visible_lines(&errors.to_string()));
        }
        let yaml = serde_saphyr::to_string(&document)?;
        output::print(&format!(
            "# From {provenance}. The tokens are known by their SHA-256.\n{}",
            yaml.trim_end()
        ))?;
        output::note(&format!(
            "{} tokens, {} credentials, {} notes",
            self.tokens.len(),
            self.credentials.len(),
            self.notes.len()
        ));
        Ok(Exit::Ok)
    }
}

fn visible_lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}
