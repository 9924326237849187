//! The document of a rollout: a policy, and a candidate that is tried beside it.
//!
//! A policy alone is a rollout of itself. Errors of the policies in it keep their own places, behind `stable.` and
//! `candidate.`.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::document::Policy;
use super::error::PolicyErrors;
use super::reader::{Errors, Node};
use crate::base::Digest;
use crate::host::Capabilities;
use crate::policy::duration::duration_within;
use crate::syntax::json;

/// The version of the document.
const VERSION: &str = "keyswap-rollout/v1";

/// A checked policy, with the candidate that may be tried beside it.
#[derive(Clone, Debug)]
pub struct RolloutPolicy {
    /// The SHA-256 of the document.
    pub(crate) digest: Digest,
    /// The policy in force.
    pub stable: Policy,
    /// The candidate.
    pub candidate: Option<CandidatePolicy>,
}

/// A policy that is tried: a candidate.
#[derive(Clone, Debug)]
pub struct CandidatePolicy {
    /// The policy.
    pub policy: Policy,
    /// The share of principals for which it decides, in percent.
    pub percent: u8,
    /// The share of other requests that the candidate judges for comparison, in percent.
    pub compare: u8,
    pub(crate) fallback: Option<Fallback>,
}

/// The bounds of the number: each principal takes eight bytes of shared memory.
const PRINCIPALS: RangeInclusive<u32> = 1..=1000;

/// The condition under which the stable policy decides for all again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fallback {
    /// The number of principals of which the candidate refused a request that the stable policy would have forwarded …
    pub(crate) principals: u32,
    /// … within this time.
    pub(crate) window: Duration,
}

impl CandidatePolicy {
    /// Checks that a host can count the refusals after which the stable policy decides for all again.
    ///
    /// # Errors
    /// The host cannot.
    pub(crate) fn check_fallback(&self, host: Capabilities) -> Result<(), PolicyErrors> {
        if self.fallback.is_none() || host.shared_memory {
            return Ok(());
        }
        let message = "this host has no shared memory to count refusals in: remove it, and watch the log";
        Err(PolicyErrors::one("fallback", message))
    }
}

impl RolloutPolicy {
    /// Checks that a host can do what the rollout itself needs, beside its policies.
    ///
    /// # Errors
    /// Every ability that the host lacks, with its place in the document.
    pub fn fits(&self, host: Capabilities) -> Result<(), PolicyErrors> {
        self.candidate.as_ref().map_or(Ok(()), |candidate| candidate.check_fallback(host))
    }

    /// Reads a policy or a rollout from JSON.
    ///
    /// # Errors
    /// Every error of the document, each with its path; for JSON that does not parse, the line and column.
    pub fn from_json(document: &[u8]) -> Result<Self, PolicyErrors> {
        Self::from_value(&json::parse(document).map_err(|error| PolicyErrors::not_json(&error))?)
    }

    pub(crate) fn from_value(document: &Value) -> Result<Self, PolicyErrors> {
        if document.get("version").and_then(Value::as_str) != Some(VERSION) {
            return Policy::from_value(document).map(Self::of);
        }
        let errors = Errors::default();
        let root = Node::root(document, &errors);
        let rollout = read(&root, &errors);
        match (rollout, errors.into_inner()) {
            (Some(rollout), errors) if errors.is_empty() => Ok(rollout),
            (_, errors) => Err(PolicyErrors(errors)),
        }
    }

    /// Returns the rollout of a policy alone.
    pub fn of(stable: Policy) -> Self {
        Self { digest: stable.digest, stable, candidate: None }
    }

    /// Returns the policies with their places. `places` are those of a policy alone, of the stable one, and of the
    /// candidate.
    pub(super) fn policies(&self, places: [&'static str; 3]) -> Vec<(&'static str, &Policy)> {
        let [alone, stable, tried] = places;
        // A policy that is a document of its own has its digest.
        let is_alone = self.digest == self.stable.digest;
        let candidate = self.candidate.iter().map(|candidate| (tried, &candidate.policy));
        std::iter::once((if is_alone { alone } else { stable }, &self.stable)).chain(candidate).collect()
    }

    /// Returns the SHA-256 of the document in hexadecimal digits, whatever its white space and the order of its
    /// members.
    pub fn sha256(&self) -> String {
        self.digest.to_hex()
    }
}

#[inline(never)]
fn read(root: &Node<'_>, errors: &Errors) -> Option<RolloutPolicy> {
    let mut fields = root.fields()?;
    let _ = fields.required("version");
    let stable = fields.required("stable").and_then(|node| read_policy(&node, errors));
    let candidate = fields.optional("candidate").map(|node| read_policy(&node, errors));
    let percent = fields.optional("percent").map(|node| read_percent(&node));
    let compare = fields.optional("compare").map(|node| read_percent(&node));
    let fallback = fields.optional("fallback");
    if candidate.is_none() {
        let idle = [percent.is_some(), compare.is_some(), fallback.is_some()];
        if idle.contains(&true) {
            root.fail("`percent`, `compare` and `fallback` need a `candidate`: add one, or remove them");
        }
    }
    let fallback = fallback.map(|node| read_fallback(&node));
    fields.finish();
    let candidate = candidate.map(|policy| {
        Some(CandidatePolicy {
            policy: policy?,
            percent: percent.unwrap_or(Some(0))?,
            compare: compare.unwrap_or(Some(100))?,
            fallback: fallback.map_or(Some(None), |fallback| fallback.map(Some))?,
        })
    });
    Some(RolloutPolicy {
        digest: Digest::of(root.value().to_string().as_bytes()),
        stable: stable?,
        candidate: candidate.map_or(Some(None), |candidate| candidate.map(Some))?,
    })
}

fn read_policy(node: &Node<'_>, errors: &Errors) -> Option<Policy> {
    Policy::from_value(node.value()).map_err(|found| errors.add_all(found.within(&node.path()))).ok()
}

fn read_percent(node: &Node<'_>) -> Option<u8> {
    let percent = node.number()?;
    node.check(
        u8::try_from(percent).ok().filter(|percent| *percent <= 100),
        "expected a number from 0 to 100",
    )
}

fn read_fallback(node: &Node<'_>) -> Option<Fallback> {
    let mut fields = node.fields()?;
    let principals = fields.required("refusals").and_then(|node| {
        let number = node.number()?;
        let number = u32::try_from(number).ok().filter(|number| PRINCIPALS.contains(number));
        node.check(number, "expected a number from 1 to 1000")
    });
    let window = fields.required("per").and_then(|node| {
        let range = Duration::from_secs(1)..=Duration::from_hours(24);
        duration_within(&node, range, "expected a duration from `1s` to `24h`")
    });
    fields.finish();
    Some(Fallback { principals: principals?, window: window? })
}
