//! Observations: events to count, and perhaps to log.

use serde_json::json;

use crate::answer::CheckError;
use crate::judge::progress::Admitted;

/// The reason code of a forwarded request.
pub const ALLOWED: &str = "allowed";
/// The reason code of a request that is answered without an upstream.
pub(crate) const ANSWERED: &str = "answered";

/// An event to count, and perhaps to log. Its words are the engine's or the policy's. Its line names the principal and
/// holds no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The name of the counter.
    pub metric: String,
    /// The number to count.
    pub count: u64,
    /// The line, one JSON object.
    pub line: Option<String>,
}

impl Observation {
    /// Returns the observation of an upstream that rejects a key of the policy. The status is one of `REJECTIONS`.
    pub(crate) fn rejected(status: &str, provider: &str) -> Self {
        let metric = format!("keyswap.key_rejections.status.{status}.provider.{provider}");
        Self { metric, count: 1, line: None }
    }

    /// Returns the observation of an exchange that ends, since its caller has lost the right to it.
    pub(crate) fn ended(admitted: &Admitted, error: CheckError<'_>) -> Self {
        let (reason, provider) = (error.reason().code(), admitted.provider.as_str());
        let line = json!({
            "event": "ended",
            "reason": reason,
            "fault": error.to_string(),
            "provider": provider,
            "class": admitted.class.name(),
            "principal": admitted.principal.id(),
            "label": admitted.principal.label(),
            "request_id": admitted.request_id,
        });
        Self {
            metric: format!("keyswap.ended.reason.{reason}.provider.{provider}"),
            count: 1,
            line: Some(line.to_string()),
        }
    }
}
