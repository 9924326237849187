//! Observations: events to count, and perhaps to log.

/// An event to count, and perhaps to log. Its words are the engine's or the policy's. Its line names the principal and
/// holds no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The name of the counter.
    pub metric: String,
    /// The line, one JSON object.
    pub line: Option<String>,
}
