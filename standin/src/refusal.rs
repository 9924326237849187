//! Refusals that a test configures.

use std::sync::Arc;

use serde_json::Value;

use super::received::Received;

/// An answer in place of the service's own.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Value,
}

/// A rule that returns the refusal of a request, `None` to answer it.
pub(super) type Refuses = Arc<dyn Fn(&Received) -> Option<Refusal> + Send + Sync>;
