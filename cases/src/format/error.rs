//! Errors of a file of cases, or of the policy in it. An error repeats no value of the file.

use std::fmt;

use keyswap_core::policy::{PolicyError, PolicyErrors};

/// One error of a file of cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteError {
    /// The place in the document: `cases[1].request`. Empty for the document as a whole.
    pub path: String,
    /// The error, and what would be right.
    pub message: String,
}

/// All errors of a file of cases. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteErrors(pub Vec<SuiteError>);

impl SuiteError {
    /// Returns an error at a place.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl SuiteErrors {
    /// Returns the one error of the document as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        Self(vec![SuiteError::at("", message)])
    }

    /// Returns an error for a misfit of the document.
    pub(super) fn of_misfit(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        Self(vec![SuiteError { path, message: without_value(error.inner()) }])
    }
}

impl From<PolicyErrors> for SuiteErrors {
    fn from(errors: PolicyErrors) -> Self {
        let error = |PolicyError { path, message }| SuiteError { path, message };
        Self(errors.0.into_iter().map(error).collect())
    }
}

impl fmt::Display for SuiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "error: {}", self.message),
            path => write!(f, "error at `{path}`: {}", self.message),
        }
    }
}

impl fmt::Display for SuiteErrors {
    /// Writes one error a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(SuiteError::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for SuiteErrors {}

/// Returns Serde's message without the value that it found.
fn without_value(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.split_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => format!("expected {expected}"),
        _ => message,
    }
}
