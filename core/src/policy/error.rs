//! The errors of a policy: all of them at once, each with its place.
//!
//! An error never repeats a value of the document or of the environment: either may be a secret in a wrong place.

use std::fmt;

/// The most names that a message lists.
const MAX_NAMES: usize = 32;

/// One error in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The place in the document: `tokens[1].sha256`. Empty for the document as a whole.
    pub path: String,
    /// The error there, and the remedy.
    pub message: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "error: {}", self.message),
            path => write!(f, "error at `{path}`: {}", self.message),
        }
    }
}

/// Lists names, and the number of those that are left out where there are many.
pub(super) fn listed<N>(names: impl IntoIterator<Item = N>, show: impl FnMut(N) -> String) -> String {
    let mut names = names.into_iter();
    let first: Vec<String> = names.by_ref().take(MAX_NAMES).map(show).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{}, and {more} more", first.join(", ")),
    }
}

/// All errors of a policy, in the order of the document's description. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyErrors(pub Vec<PolicyError>);

impl PolicyErrors {
    /// Returns the error of JSON that does not parse, with the line and the column.
    pub(crate) fn not_json(error: &serde_json::Error) -> Self {
        Self::one("", format!("not valid JSON: {error}"))
    }

    /// Returns the errors of a document that stands in another at `place`.
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        for error in &mut self.0 {
            let separator = if error.path.is_empty() || place.is_empty() { "" } else { "." };
            error.path = format!("{place}{separator}{}", error.path);
        }
        self
    }

    pub(crate) fn one(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self(vec![PolicyError { path: path.into(), message: message.into() }])
    }
}

impl PolicyErrors {
    /// Returns both results, or the errors of both.
    pub(crate) fn both<A, B>(first: Result<A, Self>, second: Result<B, Self>) -> Result<(A, B), Self> {
        match (first, second) {
            (Ok(first), Ok(second)) => Ok((first, second)),
            (Err(mut first), Err(second)) => {
                first.0.extend(second.0);
                Err(first)
            }
            (Err(errors), _) | (_, Err(errors)) => Err(errors),
        }
    }
}

impl fmt::Display for PolicyErrors {
    /// Writes one error a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut errors = self.0.iter();
        if let Some(first) = errors.next() {
            write!(f, "{first}")?;
        }
        errors.try_for_each(|error| write!(f, "\n{error}"))
    }
}

impl std::error::Error for PolicyErrors {}
