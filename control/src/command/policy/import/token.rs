//! An entry of a policy's `tokens`, with the notes about its key.

use keyswap_core::base::Digest;
use keyswap_core::syntax::is_line;
use serde::Serialize;
use serde_json::Value;

/// The longest label that a policy takes.
const LABEL_CHARS: usize = 64;

/// An entry of a policy's `tokens`.
#[derive(Serialize)]
pub(super) struct Token {
    sha256: String,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) team: Option<String>,
    pub(super) providers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) models: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rate_limit: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) budget: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// The reasons for which the token is disabled.
    #[serde(skip)]
    reasons: Vec<String>,
    #[serde(skip)]
    notes: Vec<String>,
}

impl Token {
    pub(super) fn new(digest: &Digest, label: &str, providers: Vec<String>) -> Self {
        let is_text = |char: &char| is_line(char.encode_utf8(&mut [0; 4]), 1);
        let label: String = label.trim().chars().filter(is_text).take(LABEL_CHARS).collect();
        let label = label.trim();
        let sha256 = digest.to_hex();
        let label = match label {
            "" => format!("key-{}", sha256.get(..8).unwrap_or_default()),
            label => label.to_owned(),
        };
        Self {
            sha256,
            label,
            owner: None,
            team: None,
            providers,
            models: None,
            expires_at: None,
            rate_limit: None,
            budget: None,
            status: None,
            reasons: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Notes a setting of the key that is not imported.
    pub(super) fn note(&mut self, message: impl Into<String>) {
        self.notes.push(message.into());
    }

    /// Imports the token as disabled: it is refused until an operator enables it. The reason becomes a note.
    pub(super) fn disable(&mut self, reason: impl AsRef<str>) {
        self.disable_for(reason.as_ref());
        self.notes.push(format!("disabled: {}", reason.as_ref()));
    }

    /// Imports the token as disabled, without a note.
    pub(super) fn disable_for(&mut self, reason: &str) {
        self.status = Some("disabled");
        self.reasons.push(reason.to_owned());
    }

    /// Returns the reasons for which the token is disabled; none for an active one.
    pub(super) fn reasons(&self) -> &[String] {
        &self.reasons
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn sha256(&self) -> &str {
        &self.sha256
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Returns whether both permit the same. A label permits nothing, and an owner nothing in a policy without bindings.
    pub(super) fn permits_as(&self, other: &Self) -> bool {
        let limits = |it: &Self| (it.expires_at.clone(), it.rate_limit.clone(), it.budget.clone(), it.status);
        (&self.team, &self.providers, &self.models) == (&other.team, &other.providers, &other.models)
            && limits(self) == limits(other)
    }
}
