//! A suite: a policy with its environment, the services that it asks, and its cases.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use keyswap_core::host::Capabilities;
use keyswap_core::policy::Policy;
use serde::Deserialize;
use serde_json::Value;

use super::{
    case::Case,
    registry::{CaseRegistry, Registered, Served},
};

/// One file: a policy and its cases.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// The subject that the cases have in common.
    pub about: String,
    /// The environment that the policy's credentials are in.
    pub env: BTreeMap<String, String>,
    /// The policy.
    pub policy: Value,
    /// Set where the policy asks for what the component's hosts have not, so that it is refused there.
    #[serde(default)]
    pub only_in_envoy: bool,
    /// The answers of the registry, where the policy has one.
    #[serde(default)]
    pub registry: Vec<Registered>,
    /// The answers of other services that something is fetched from, all at the registry's address.
    #[serde(default)]
    pub fetched: Vec<Served>,
    /// The cases.
    pub cases: Vec<Case>,
}

impl Suite {
    /// Returns the upstreams that its cases name.
    pub fn hosts(&self) -> BTreeSet<&str> {
        self.cases.iter().filter_map(|case| Some(case.forward.as_ref()?.authority.as_str())).collect()
    }

    /// Returns whether a host can do what its policy asks for.
    pub fn fits(&self, host: Capabilities) -> Result<bool> {
        Ok(Policy::from_json(self.policy.to_string().as_bytes())?.fits(host).is_ok())
    }

    /// Returns the registry that it speaks of, from which nothing was taken yet.
    pub fn registry(&self) -> CaseRegistry {
        CaseRegistry::new(self.registry.clone(), self.fetched.clone())
    }
}
