//! Observations: something to count, and perhaps to log.

/// Something to count, and perhaps to log. Its parts are words of ours or of the policy; its line names the principal and
/// holds no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The name of the counter.
    pub metric: String,
    /// The line, one JSON object.
    pub line: Option<String>,
}
