//! The document of a revision: a policy, or a policy and a candidate; and what becomes of it, step by step.

use std::fmt;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keyswap_core::{MAX_BUNDLE_BYTES, SignedBundle};
use serde_json::{Value, json};

use crate::registry::RateLimit;

/// The version of a document with a candidate.
const ROLLOUT: &str = "keyswap-rollout/v1";

/// A document that holds.
#[derive(Clone, PartialEq)]
pub(super) struct Document(Value);

/// How a candidate is tried.
pub(super) struct Trial {
    /// The share of principals for which it decides.
    pub(super) percent: u8,
    /// The share of requests that both decide.
    pub(super) compare: Option<u8>,
    /// How many refusals in which time take it back.
    pub(super) fallback: Option<RateLimit>,
}

impl Document {
    pub(super) fn new(document: Value) -> Self {
        Self(document)
    }

    /// What was signed. The signature is the data planes' to check.
    pub(super) fn of_bundle(bundle: &str) -> anyhow::Result<Self> {
        let document = || {
            let payload = BASE64_URL_SAFE_NO_PAD.decode(bundle.split('.').nth(1)?).ok()?;
            let mut payload: Value = serde_json::from_slice(&payload).ok()?;
            Some(payload.get_mut("policy")?.take())
        };
        let is_one = bundle.len() <= MAX_BUNDLE_BYTES && SignedBundle::peek(bundle.as_bytes()).is_ok();
        document().filter(|_| is_one).map(Self).context("the registry has a revision that cannot be read")
    }

    /// The policy in force.
    pub(super) fn stable(&self) -> &Value {
        if self.is_rollout() { &self.0["stable"] } else { &self.0 }
    }

    /// The policy that is tried.
    pub(super) fn candidate(&self) -> Option<&Value> {
        if self.is_rollout() { self.0.get("candidate") } else { None }
    }

    /// The policy in force, and `candidate` beside it.
    pub(super) fn with_candidate(&self, candidate: &Value, trial: &Trial) -> Self {
        let mut document = json!({
            "version": ROLLOUT,
            "stable": self.stable(),
            "candidate": candidate,
            "percent": trial.percent,
        });
        if let Some(compare) = trial.compare {
            document["compare"] = compare.into();
        }
        if let Some(bound) = trial.fallback {
            document["fallback"] =
                json!({"refusals": bound.requests(), "per": format!("{}s", bound.seconds())});
        }
        Self(document)
    }

    /// The same with another share for its candidate.
    pub(super) fn with_percent(&self, percent: u8) -> anyhow::Result<Self> {
        if self.candidate().is_none() {
            bail!("no candidate is tried: `keyswap policy publish --candidate` begins with one");
        }
        let mut document = self.0.clone();
        document["percent"] = percent.into();
        Ok(Self(document))
    }

    /// The candidate alone.
    pub(super) fn promoted(&self) -> anyhow::Result<Self> {
        let candidate = self.candidate().context("no candidate is tried, so there is none to promote")?;
        Ok(Self(candidate.clone()))
    }

    /// The policy in force alone.
    pub(super) fn without_candidate(&self) -> Self {
        Self(self.stable().clone())
    }

    pub(super) fn as_value(&self) -> &Value {
        &self.0
    }

    /// What it does, for people.
    pub(super) fn summary(&self) -> String {
        let percent = self.0.get("percent").and_then(Value::as_u64).unwrap_or(0);
        match self.candidate() {
            Some(_) => format!("a candidate decides for {percent} % of principals"),
            None => "the policy decides for all".to_owned(),
        }
    }

    fn is_rollout(&self) -> bool {
        self.0.get("version").and_then(Value::as_str) == Some(ROLLOUT)
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
