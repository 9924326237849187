//! Replies that the engine gives in an upstream's stead, in the dialect of the SDK that called, so that its typed
//! exceptions and messages work.

use serde_json::json;

use crate::provider::Dialect;
use crate::reason::Reason;

/// A reply to send instead of forwarding. It holds nothing of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// The HTTP status.
    pub status: u16,
    /// Headers in lower case, to be sent as they are.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The JSON body.
    pub body: String,
}

impl LocalReply {
    /// What a host answers when it cannot carry a decision out: it never forwards instead.
    pub fn host_failure() -> Self {
        Self::refuse(Reason::HostFailure, Dialect::OpenAi)
    }

    /// The refusal for `reason`.
    pub(crate) fn refuse(reason: Reason, dialect: Dialect) -> Self {
        let mut headers = vec![
            ("content-type", "application/json"),
            // No cache may serve one caller's refusal to another.
            ("cache-control", "no-store"),
            ("x-keyswap-reason", reason.code()),
        ];
        headers.extend(reason.challenge().map(|challenge| ("www-authenticate", challenge)));
        headers.extend(match reason {
            // RFC 9110 section 15.5.6 requires it.
            Reason::MethodNotAllowed => Some(("allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")),
            // In seconds: a host that failed was rebuilt by then.
            Reason::HostFailure => Some(("retry-after", "1")),
            _ => None,
        });
        Self { status: reason.status(), headers, body: body(reason, dialect) }
    }
}

fn body(reason: Reason, dialect: Dialect) -> String {
    let kind = ErrorKind::of(reason.status());
    match dialect {
        Dialect::OpenAi => {
            json!({"error": {"message": reason.message(), "type": kind.openai, "param": null, "code": reason.code()}})
        }
        Dialect::Anthropic => {
            // The SDKs offer `details.error_code` as a field of their exceptions.
            json!({"type": "error", "error": {
                "type": kind.anthropic, "message": reason.message(), "details": {"error_code": reason.code()},
            }})
        }
        Dialect::Google => {
            json!({"error": {"code": reason.status(), "message": reason.message(), "status": kind.google}})
        }
    }
    .to_string()
}

/// What the three families of APIs call an error of one status.
struct ErrorKind {
    openai: &'static str,
    anthropic: &'static str,
    google: &'static str,
}

impl ErrorKind {
    const fn of(status: u16) -> Self {
        match status {
            401 => Self {
                openai: "authentication_error",
                anthropic: "authentication_error",
                google: "UNAUTHENTICATED",
            },
            403 => Self {
                openai: "permission_error",
                anthropic: "permission_error",
                google: "PERMISSION_DENIED",
            },
            503 => Self { openai: "server_error", anthropic: "api_error", google: "UNAVAILABLE" },
            _ => Self {
                openai: "invalid_request_error",
                anthropic: "invalid_request_error",
                google: "INVALID_ARGUMENT",
            },
        }
    }
}
