//! Refusals that a test asks for.

use std::sync::Arc;

use serde_json::Value;

use super::received::Received;

/// An answer in the place of a service's own.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Value,
}

/// A rule that says which requests are refused, and how.
pub(super) type Refuses = Arc<dyn Fn(&Received) -> Option<Refusal> + Send + Sync>;
