//! The resulting policy, and notes on settings that were not imported.

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

/// A policy under construction.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) credentials: BTreeMap<String, Value>,
    pub(super) providers: BTreeMap<String, Map<String, Value>>,
    tokens: Vec<Token>,
    digests: BTreeSet<String>,
    notes: Vec<String>,
}

/// An entry of a policy's `tokens`.
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

    /// Imports the token as disabled: it is refused until an operator enables it.
    pub(super) fn disable(&mut self) {
        self.status = Some("disabled");
    }
}

impl Draft {
    /// Notes a setting that is not imported, or a step to do by hand. `place` is the path in the file.
    pub(super) fn note(&mut self, place: &str, message: impl AsRef<str>) {
        self.notes.push(visible(&format!("{place}: {}", message.as_ref())));
    }

    pub(super) fn add(&mut self, place: &str, token: Token) {
        if self.digests.insert(token.sha256.clone()) {
            self.tokens.push(token);
        } else {
            self.note(place, "duplicate key: left out");
        }
    }

    /// Adds a credential that is read from an environment variable.
    pub(super) fn credential(&mut self, name: &str, variable: &str) {
        self.credentials.insert(name.to_owned(), json!([{"env": variable}]));
    }

    /// Writes the policy to standard output and the notes to standard error. An invalid policy is an error.
    pub(super) fn finish(mut self, provenance: &str) -> anyhow::Result<Exit> {
        if !self.tokens.is_empty() {
            self.note(
                "tokens",
                "each reaches inference and the list of models: open what else a key was used for, such as `openai:files`",
            );
        }
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
            bail!("the result is not a valid policy:\n{}", visible_lines(&errors.to_string()));
        }
        let yaml = serde_saphyr::to_string(&document)?;
        output::print(&format!(
            "# Imported from {provenance}. Tokens are stored as SHA-256 digests.\n{}",
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
