//! The environment of a data plane. Secrets reach the data plane in it, and never in an argument.

use std::collections::BTreeMap;
use std::ffi::OsString;

use keyswap_core::host::Environment;

/// The name of the variable with the data plane's credential at the registry.
pub(super) const REGISTRY_TOKEN: &str = "KEYSWAP_REGISTRY_TOKEN";

/// The variables for this process alone: those of the registry's administrator, and of a supervisor.
const OF_THIS_PROCESS: [&str; 4] =
    ["KEYSWAP_ADMIN_PASSWORD", "KEYSWAP_ADMIN_PASSWORD_FILE", "KEYSWAP_REGISTRY_TOKEN_FILE", "NOTIFY_SOCKET"];

/// The variables that programs need beside secrets: scripts in other languages find their interpreter by `PATH`.
const OF_PROGRAMS: [&str; 2] = ["PATH", "HOME"];

/// The variables of a data plane.
#[derive(Clone)]
pub(super) struct Variables(BTreeMap<OsString, OsString>);

impl Variables {
    /// Returns the variables of this process, without those for this process alone.
    pub(super) fn of_process() -> Self {
        let is_passed = |name: &OsString| !OF_THIS_PROCESS.iter().any(|other| name == other);
        Self(std::env::vars_os().filter(|(name, _)| is_passed(name)).collect())
    }

    /// Returns these variables alone, with what programs need beside them.
    pub(super) fn only<'v>(variables: impl IntoIterator<Item = (&'v str, &'v str)>) -> Self {
        let of_programs =
            OF_PROGRAMS.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?)));
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(of_programs.chain(variables).collect())
    }

    /// Adds a variable, or replaces it.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Returns names and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }
}

impl Environment for Variables {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(std::ffi::OsStr::new(name)).map(|value| value.clone().into_encoded_bytes())
    }
}
