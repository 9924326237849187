//! A file of cases: a policy with its environment, the answers of the services that it asks, and the cases.

use std::collections::{BTreeMap, BTreeSet};

use keyswap_core::base::Moment;
use serde::Deserialize;
use serde_json::Value;

use super::case::Case;
use super::error::{SuiteError, SuiteErrors};
use super::service::{HeldObject, Registered, Served};
use super::time::time;
use crate::text;

/// A file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// The subject that the cases have in common, for readers.
    pub about: Option<String>,
    /// The values of variables. Left out, every variable has a placeholder; else no others are set.
    pub env: Option<BTreeMap<String, String>>,
    /// A policy of the file's own.
    pub policy: Option<Value>,
    /// Set where the policy needs what only Envoy has, so that other hosts refuse it.
    #[serde(default)]
    pub only_in_envoy: bool,
    /// The time at which requests come.
    #[serde(default, deserialize_with = "time")]
    pub at: Option<Moment>,
    /// The answers of the registry.
    #[serde(default)]
    pub registry: Vec<Registered>,
    /// The objects that callers hold.
    #[serde(default)]
    pub objects: Vec<HeldObject>,
    /// The answers of other services, by the target of the request.
    pub fetched: Option<Vec<Served>>,
    /// The cases, in the order in which they are judged.
    pub cases: Vec<Case>,
}

impl Suite {
    /// Reads the document of a file of cases.
    pub fn read(mut document: Value) -> Result<Self, SuiteErrors> {
        text::expand(&mut document);
        let suite: Self =
            serde_path_to_error::deserialize(document).map_err(|error| SuiteErrors::of_misfit(&error))?;
        let errors: Vec<SuiteError> = suite.errors().collect();
        if errors.is_empty() { Ok(suite) } else { Err(SuiteErrors(errors)) }
    }

    fn errors(&self) -> impl Iterator<Item = SuiteError> {
        let unnamed = self.registry.iter().enumerate().filter(|(_, it)| !it.has_one_subject());
        let unnamed = unnamed
            .map(|(at, _)| SuiteError::at(format!("registry[{at}]"), "expected one of `token`, `email`"));
        let unclear = self.cases.iter().enumerate().filter(|(_, case)| !case.has_one_outcome());
        unnamed.chain(unclear.map(|(at, _)| {
            SuiteError::at(format!("cases[{at}]"), "expected one of `forward`, `reply`, `answer`")
        }))
    }

    /// Returns the time at which a case of this file comes, where the file says so.
    pub fn time_of(&self, case: &Case) -> Option<Moment> {
        case.at.or(self.at)
    }

    /// Returns the upstreams that the cases name.
    pub fn authorities(&self) -> BTreeSet<&str> {
        self.cases.iter().filter_map(|case| case.forward.as_ref()?.authority.as_deref()).collect()
    }
}
