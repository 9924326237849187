//! The document of a revision: a policy, or a policy and a candidate; and the steps of a rollout.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::terminal::output::visible;

/// The version of a document with a candidate.
const VERSION: &str = "keyswap-rollout/v1";

/// A valid document, parsed as far as a step of a rollout changes it.
#[derive(Clone)]
pub(super) struct Document {
    /// The policy in force.
    pub(super) stable: Value,
    /// The candidate, if one is tried.
    pub(super) candidate: Option<Trial>,
}

/// A candidate and the settings of its trial.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Trial {
    #[serde(rename = "candidate")]
    pub(super) policy: Value,
    /// The share of principals that the candidate decides for, in percent.
    #[serde(default)]
    pub(super) percent: u8,
    /// The share of requests that both policies judge, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) compare: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fallback: Option<Fallback>,
}

/// The number of callers in a period, refused by the candidate alone, after which a data plane falls back to the stable
/// policy.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Fallback {
    refusals: u32,
    per: String,
}

/// A document of the version `keyswap-rollout/v1`.
#[derive(Serialize, Deserialize)]
struct Rollout {
    version: String,
    stable: Value,
    #[serde(flatten)]
    candidate: Option<Trial>,
}

impl From<(u32, u32)> for Fallback {
    /// Makes it of the refusals and the seconds.
    fn from((refusals, seconds): (u32, u32)) -> Self {
        Self { refusals, per: format!("{seconds}s") }
    }
}

impl Trial {
    /// Returns the settings of the trial in words.
    pub(super) fn summary(&self) -> String {
        let words = format!("decides for {} %, compared for {} %", self.percent, self.compare.unwrap_or(100));
        match &self.fallback {
            Some(Fallback { refusals, per }) => {
                format!("{words}, ends after {refusals} refusals in {}", visible(per))
            }
            None => words,
        }
    }
}

impl Document {
    /// Reads a document that the engine has accepted.
    pub(super) fn of(document: Value) -> anyhow::Result<Self> {
        if document.get("version").and_then(Value::as_str) != Some(VERSION) {
            return Ok(Self { stable: document, candidate: None });
        }
        let rollout = serde_json::from_value(document).context("the rollout cannot be read")?;
        let Rollout { version: _, stable, candidate } = rollout;
        Ok(Self { stable, candidate })
    }

    /// Returns the document as data planes read it.
    pub(super) fn into_value(self) -> Value {
        let Self { stable, candidate } = self;
        if candidate.is_none() {
            return stable;
        }
        let rollout = Rollout { version: VERSION.to_owned(), stable, candidate };
        // All members come from JSON, so serializing does not fail.
        serde_json::to_value(rollout).unwrap_or_default()
    }

    /// Returns the stable policy with another candidate.
    pub(super) fn with_candidate(self, trial: Trial) -> Self {
        Self { candidate: Some(trial), ..self }
    }

    /// Returns the document with another share for its candidate, an error if there is no candidate.
    pub(super) fn with_percent(self, percent: u8) -> anyhow::Result<Self> {
        let candidate = self
            .candidate
            .context("no candidate is published: start with `keyswap policy publish --candidate`")?;
        Ok(Self { candidate: Some(Trial { percent, ..candidate }), ..self })
    }

    /// Returns the candidate as the only policy, an error if there is no candidate.
    pub(super) fn promoted(self) -> anyhow::Result<Self> {
        let candidate = self.candidate.context("no candidate is published: nothing to promote")?;
        Ok(Self { stable: candidate.policy, candidate: None })
    }

    /// Returns the stable policy without a candidate.
    pub(super) fn without_candidate(self) -> Self {
        Self { candidate: None, ..self }
    }

    /// Returns a summary for the command's output.
    pub(super) fn summary(&self) -> String {
        match &self.candidate {
            Some(Trial { percent, .. }) => format!("a candidate decides for {percent} % of principals"),
            None => "one policy decides for all principals".to_owned(),
        }
    }
}
