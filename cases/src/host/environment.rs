//! The environment of the cases of a file.

use std::collections::BTreeMap;

use keyswap_core::host::{Environment, SecretFile, SecretFileError};

use super::placeholders::Placeholders;
use crate::format::Suite;

/// The variables of a file of cases. Where the file names none, each has a placeholder.
pub(super) struct CaseEnvironment {
    env: Option<BTreeMap<String, String>>,
    answers_fetches: bool,
}

impl CaseEnvironment {
    pub(super) fn of(suite: &Suite) -> Self {
        Self { env: suite.env.clone(), answers_fetches: suite.fetched.is_some() }
    }
}

impl Environment for CaseEnvironment {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        match &self.env {
            Some(env) => env.get(name).map(|value| value.clone().into_bytes()),
            None => Placeholders.variable(name),
        }
    }

    /// Has a placeholder for every file: cases name no path of a machine.
    fn file(&self, path: &str) -> Result<SecretFile, SecretFileError> {
        Placeholders.file(path)
    }

    fn is_stand_in(&self) -> bool {
        self.env.is_none()
    }

    fn fetched(&self, credential: &str) -> Option<Vec<u8>> {
        let is_placeholder = !self.answers_fetches && self.env.is_none();
        is_placeholder.then(|| Placeholders.fetched(credential)).flatten()
    }
}
