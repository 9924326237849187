//! The resulting policy, and notes on settings that were not imported.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use keyswap_core::policy::Policy;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::outputs::Outputs;
use super::report;
use super::token::Token;
use crate::command::terminal::exit::Exit;
use crate::command::terminal::output::{self, visible};

/// The reason for which a key that comes twice is disabled.
const REPEATED: &str = "the key stands here again with other settings";

/// A policy under construction, and the lines about settings that are not in it.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) credentials: BTreeMap<String, Value>,
    pub(super) providers: BTreeMap<String, Map<String, Value>>,
    /// Groups of models by their name.
    pub(super) model_groups: BTreeMap<String, BTreeSet<String>>,
    /// The registry that keeps budgets.
    pub(super) registry: Option<Value>,
    /// The settings that restrict a key, and without which it is imported.
    pub(super) lost: BTreeSet<String>,
    tokens: Vec<Token>,
    /// The index of each token by its digest.
    digests: BTreeMap<String, usize>,
    /// The number of keys that are left out, by the reason.
    left_out: BTreeMap<String, usize>,
    notes: usize,
    /// Lines that are written only once.
    once: BTreeSet<String>,
}

#[derive(Serialize)]
struct Document<'d> {
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: &'d Option<Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    model_groups: &'d BTreeMap<String, BTreeSet<String>>,
    tokens: &'d [Token],
    credentials: &'d BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    providers: &'d BTreeMap<String, Map<String, Value>>,
}

impl Draft {
    /// Writes a line about a setting that is not imported, or a step to do by hand. `place` is the path in the file.
    ///
    /// The line is written at once, so an error that ends the import later hides none.
    pub(super) fn note(&mut self, place: &str, message: impl AsRef<str>) {
        let line = format!("{place}: {}", message.as_ref());
        output::note(&visible(line.trim_start_matches([':', ' '])));
        self.notes = self.notes.saturating_add(1);
    }

    /// Returns whether a key was in the input, also one that is left out.
    pub(super) fn has_keys(&self) -> bool {
        !self.tokens.is_empty() || !self.left_out.is_empty()
    }

    /// Returns words for an error that point to the lines so far, if there are any.
    pub(super) fn see_lines(&self) -> &'static str {
        if self.notes > 0 { ": see the lines above" } else { "" }
    }

    /// Writes a line about a key that is left out, and counts the key.
    pub(super) fn leave_out(&mut self, place: &str, reason: &str) {
        self.count_left_out(reason);
        self.note(place, format!("{reason}: left out"));
    }

    /// Counts a key that is left out. Its line is written apart.
    pub(super) fn count_left_out(&mut self, reason: &str) {
        let count = self.left_out.entry(reason.to_owned()).or_default();
        *count = count.saturating_add(1);
    }

    /// Writes a line as [`Self::note`] does, unless the same line was written by this before.
    pub(super) fn note_once(&mut self, place: &str, message: impl AsRef<str>) {
        if self.once.insert(format!("{place}: {}", message.as_ref())) {
            self.note(place, message);
        }
    }

    /// Notes the members of an object that the import does not read.
    pub(super) fn note_rest(&mut self, place: &str, object: &Value, read: &[&str]) {
        if let Some(message) = rest(object, read) {
            self.note(place, message);
        }
    }

    /// Notes them as [`Self::note_rest`] does, once for each object.
    pub(super) fn note_rest_once(&mut self, place: &str, object: &Value, read: &[&str]) {
        if let Some(message) = rest(object, read) {
            self.note_once(place, message);
        }
    }

    /// Adds a token with its notes, each under its place and label. A key that comes twice permits the less: where the
    /// settings differ, the token is disabled.
    pub(super) fn add(&mut self, place: &str, token: Token) {
        let named = |label: &str| format!("{place} ({label})").trim_start().to_owned();
        for note in token.notes() {
            self.note(&named(token.label()), note);
        }
        let Some(index) = self.digests.get(token.sha256()) else {
            self.digests.insert(token.sha256().to_owned(), self.tokens.len());
            self.tokens.push(token);
            return;
        };
        let Some(first) = self.tokens.get_mut(*index) else { return };
        let differs = !first.permits_as(&token);
        if differs {
            first.disable_for(REPEATED);
        }
        let first = first.label().to_owned();
        self.count_left_out("a duplicate of another key");
        self.note(&named(token.label()), format!("duplicate of the key `{first}`: left out"));
        if differs {
            self.note(&named(&first), format!("disabled: {REPEATED}"));
        }
    }

    /// Returns the providers that the policy gives another address than their own.
    pub(super) fn relayed(&self) -> BTreeSet<String> {
        let has_url = |(_, provider): &(&String, &Map<String, Value>)| provider.contains_key("url");
        self.providers.iter().filter(has_url).map(|(id, _)| id.clone()).collect()
    }

    /// Adds a credential that is read from an environment variable.
    pub(super) fn credential(&mut self, name: &str, variable: &str) {
        self.credentials.insert(name.to_owned(), json!([{"env": variable}]));
    }

    /// Writes the policy to standard output, the notes and the report to standard error, and the tests to their file. An
    /// invalid policy is an error.
    pub(super) fn finish(mut self, provenance: &str, outputs: &Outputs) -> anyhow::Result<Exit> {
        if !self.tokens.is_empty() {
            self.note(
                "tokens",
                "each reaches inference and the list of models: open what else a key was used for, such as `openai:files`",
            );
        }
        let document = Document {
            version: "keyswap/v1",
            registry: &self.registry,
            model_groups: &self.model_groups,
            tokens: &self.tokens,
            credentials: &self.credentials,
            providers: &self.providers,
        };
        if let Err(errors) = Policy::from_json(serde_json::to_string(&document)?.as_bytes()) {
            bail!("the result is not a valid policy:\n{}", visible_lines(&errors.to_string()));
        }
        let yaml = serde_saphyr::to_string(&document)?;
        let written = serde_json::to_value(&document)?;
        let tests = outputs.write_tests(&written)?;
        output::print(&format!(
            "# Imported from {provenance}. Tokens are stored as SHA-256 digests.\n{}",
            yaml.trim_end()
        ))?;
        let report = report::lines(&self.tokens, &self.left_out, &written);
        report.iter().chain(&tests).for_each(|line| output::note(&visible(&format!("report: {line}"))));
        output::note(&format!(
            "{} tokens, {} credentials, {} notes",
            self.tokens.len(),
            self.credentials.len(),
            self.notes
        ));
        Ok(Exit::Ok)
    }
}

/// Returns the line about the members of an object that the import does not read; `None` where it reads all.
fn rest(object: &Value, read: &[&str]) -> Option<String> {
    let members = object.as_object().into_iter().flatten();
    let names: Vec<String> = members
        .filter(|(name, value)| !read.contains(&name.as_str()) && !is_empty(value))
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    (!names.is_empty()).then(|| format!("not imported: {}", names.join(", ")))
}

fn visible_lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

/// Returns whether a setting has no effect: absent, empty, zero or false.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is_set) => !is_set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}
