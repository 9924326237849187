//! Replies that the engine gives in an upstream's stead, in the dialect of the SDK that called, so that its typed
//! exceptions and messages work.

use serde_json::{Value, json};

use super::error::CheckError;
use super::hidden::Hidden;
use super::reason::{METHODS, Reason};
use super::text::HeaderText;
use crate::base::bytes::plain_length;
use crate::limit::{Taken, TokensTaken};
use crate::provider::Dialect;

/// A header of a response: its name in lower case, and its value.
pub type ResponseHeader = (&'static str, HeaderText);

/// The changes to the headers of whatever answers a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHeaders {
    /// Names to remove: headers in which an upstream speaks for its own host.
    pub remove: &'static [&'static str],
    /// Headers to set in place of all lines of the name.
    pub set: Vec<ResponseHeader>,
    /// Lines to add to those that are there.
    pub add: Vec<ResponseHeader>,
    /// The lines that are hidden from the caller, see [`ResponseHeaders::hides`].
    pub(crate) hidden: Hidden,
}

impl ResponseHeaders {
    /// Returns whether lines of the upstream's answer may be hidden, so that each must be looked at.
    pub fn hides_any(&self) -> bool {
        self.hidden.is_any()
    }

    /// Returns whether a line of the upstream's answer is not for the caller.
    pub fn hides(&self, name: &[u8], value: &[u8]) -> bool {
        self.hidden.hides(name, value)
    }

    /// Returns whether [`ResponseHeaders::replaces`] may give another answer, so that the status has to be known.
    pub fn may_replace(&self) -> bool {
        self.hidden.all || self.hidden.key.is_some()
    }

    /// Returns the answer to give in place of an upstream's with this status; `None` where the upstream's may pass.
    ///
    /// Where the target of a request held the credential, an upstream that does not open the WebSocket may show the target
    /// in its answer. Where the answer is brokered, it is a success or an error; any other may lead elsewhere.
    pub fn replaces(&self, status: Option<&[u8]>) -> Option<LocalReply> {
        let status = str::from_utf8(status.unwrap_or_default()).ok().and_then(|status| status.parse().ok());
        if self.hidden.all && !matches!(status, Some(200..=299 | 400..=599)) {
            return Some(LocalReply::not_brokered(status.unwrap_or_default()).with(self));
        }
        let is_replaced = self.hidden.key.is_some() && status != Some(SWITCHING_PROTOCOLS);
        is_replaced.then(|| LocalReply::withheld(status.unwrap_or_default()).with(self))
    }

    /// Makes the changes of an answer that is brokered: its body is written anew.
    pub(crate) fn for_brokered(&mut self) {
        self.hidden.all = true;
        self.set.push(("content-type", "application/json".into()));
        self.set.push(("cache-control", "no-store".into()));
    }

    /// Adds the headers that show the rest of a budget (draft-ietf-httpapi-ratelimit-headers-10).
    pub(crate) fn budget(&mut self, taken: &Taken) {
        let Taken { limit, remaining, reset, window, .. } = taken;
        let lines = [
            ("ratelimit-policy", item("\"token\";q=", *limit, ";w=", *window)),
            ("ratelimit", item("\"token\";r=", *remaining, ";t=", *reset)),
        ];
        if self.set.is_empty() {
            self.set = Vec::from(lines);
        } else {
            self.set.extend(lines);
        }
    }

    /// Sets the headers that show the rest of a budget in tokens, as OpenAI writes them.
    pub(crate) fn tokens(&mut self, taken: &TokensTaken) {
        let TokensTaken { limit, remaining, reset_milliseconds, .. } = taken;
        let number = |number: u32| HeaderText::of([itoa::Buffer::new().format(number)]);
        self.set.extend([
            ("x-ratelimit-limit-tokens", number(*limit)),
            ("x-ratelimit-remaining-tokens", number(*remaining)),
            ("x-ratelimit-reset-tokens", duration(*reset_milliseconds).into()),
        ]);
    }

    /// Takes the headers for a local reply, with those of the budget where a rate limit is the cause.
    pub(crate) fn for_reply(&mut self, fault: &CheckError<'_>) -> Vec<ResponseHeader> {
        if let CheckError::RateLimited(taken) = fault {
            self.budget(taken);
        }
        if let CheckError::RateLimited(taken) | CheckError::ObjectsGuessed(taken) = fault {
            self.set.push(("retry-after", taken.retry_after.to_string().into()));
        }
        let Self { set, add, .. } = std::mem::take(self);
        set.into_iter().chain(add).collect()
    }
}

/// Returns a duration in the form of OpenAI's headers, such as `250ms`, `1.5s` or `6m0s`.
fn duration(milliseconds: u64) -> String {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    match (seconds / 60, seconds, rest) {
        (0, 0, 1..) => format!("{rest}ms"),
        (0, _, 0) => format!("{seconds}s"),
        (0, _, _) => {
            let fraction = format!("{rest:03}");
            format!("{seconds}.{}s", fraction.trim_end_matches('0'))
        }
        (minutes, ..) => format!("{minutes}m{}s", seconds % 60),
    }
}

/// Returns the structured-field item for a token's budget, with two parameters.
#[expect(
    clippy::inline_always,
    reason = "both names are known where it is called, and are written without a call"
)]
#[inline(always)]
fn item(first: &str, value: u32, second: &str, other: u32) -> HeaderText {
    let [mut one, mut two] = [itoa::Buffer::new(); 2];
    HeaderText::of([first, one.format(value), second, two.format(other)])
}

/// The status of an upstream that opens a WebSocket (RFC 6455 section 4.2.2).
const SWITCHING_PROTOCOLS: u16 = 101;

/// A failure of an upstream to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamFailure {
    /// The upstream could not be reached, or ended the connection before its answer.
    Unreachable,
    /// The upstream took too long.
    TooSlow,
}

/// The reason why an answer does not go out to a caller whose bodies are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withheld {
    /// It cannot be read, and would have to be.
    Unreadable,
    /// It came before the request was judged.
    Early,
}

/// A reply to send instead of forwarding. The reply holds nothing of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// The HTTP status.
    pub status: u16,
    /// Headers in lower case, to be sent as they are.
    pub headers: Vec<ResponseHeader>,
    /// The body: JSON, or nothing.
    pub body: String,
}

impl LocalReply {
    /// Returns the reply of a host that cannot carry out a decision; a host never forwards instead.
    pub fn host_failure() -> Self {
        Self::refuse(Reason::HostFailure, Dialect::OpenAi, Vec::new())
    }

    /// Returns the reply to a granted request whose upstream gave no answer, in a form that every SDK understands.
    /// Envoy gives the same reply by `envoy/bootstrap.yaml`.
    pub fn upstream(failure: UpstreamFailure) -> Self {
        let (status, code, message) = match failure {
            UpstreamFailure::Unreachable => (502, "upstream_unreachable", "upstream request failed"),
            UpstreamFailure::TooSlow => (504, "upstream_unavailable", "upstream overloaded or too slow"),
        };
        Self::of_upstream(status, code, message)
    }

    /// Returns the reply in place of an answer that may hold the credential. The status of an error stays.
    fn withheld(status: u16) -> Self {
        Self::of_upstream(of_error(status), "upstream_refused", "upstream did not open the WebSocket")
    }

    /// Returns the reply in place of an answer that may hold a minted credential. The status of an error stays.
    pub(crate) fn not_brokered(status: u16) -> Self {
        let message = "upstream minted no credential that can be passed on";
        Self::of_upstream(of_error(status), "upstream_not_brokered", message)
    }

    /// Returns the reply in place of an answer to a caller whose models are restricted.
    pub(crate) fn not_passed_on(why: Withheld) -> Self {
        let (code, message) = match why {
            Withheld::Unreadable => {
                ("upstream_unreadable", "upstream answered in a form that cannot be read")
            }
            Withheld::Early => ("upstream_early", "upstream answered before it had the request"),
        };
        Self::of_upstream(502, code, message)
    }

    /// Adds the headers that an upstream's answer was to have.
    pub(crate) fn with(mut self, response: &ResponseHeaders) -> Self {
        let is_set = |name: &str| response.set.iter().any(|(other, _)| *other == name);
        self.headers.retain(|(name, _)| !is_set(name));
        self.headers.extend(response.set.iter().chain(&response.add).cloned());
        self
    }

    fn of_upstream(status: u16, code: &str, message: &str) -> Self {
        let error = json!({"type": "api_error", "code": code, "message": message, "param": null});
        let body = json!({"type": "error", "error": error}).to_string();
        Self { status, headers: vec![("content-type", "application/json".into())], body }
    }

    /// Returns the reply to whatever asks if the engine lives.
    pub(crate) fn live() -> Self {
        let headers = vec![("content-type", "text/plain".into()), ("cache-control", "no-store".into())];
        Self { status: 200, headers, body: "live\n".to_owned() }
    }

    /// Returns the reply of a host while it has no policy.
    pub fn no_policy() -> Self {
        Self::refuse(Reason::PolicyUnavailable, Dialect::OpenAi, Vec::new())
    }

    /// Returns the refusal for `reason`, with headers that belong to the request.
    pub(crate) fn refuse(reason: Reason, dialect: Dialect, own: Vec<ResponseHeader>) -> Self {
        Self::refuse_saying(reason, None, dialect, own)
    }

    /// Returns the refusal with more words behind its message, which hold nothing of the request.
    pub(crate) fn refuse_saying(
        reason: Reason,
        words: Option<&str>,
        dialect: Dialect,
        own: Vec<ResponseHeader>,
    ) -> Self {
        let mut headers: Vec<ResponseHeader> = Vec::with_capacity(own.len().saturating_add(5));
        headers.push(("content-type", "application/json".into()));
        // No cache may serve one caller's refusal to another.
        headers.push(("cache-control", "no-store".into()));
        headers.push(("x-keyswap-reason", reason.code().into()));
        if let Some(challenge) = reason.challenge() {
            headers.push(("www-authenticate", challenge.into()));
        }
        let more: Option<ResponseHeader> = match reason {
            // RFC 9110 section 15.5.6 requires it.
            Reason::MethodNotAllowed => Some(("allow", METHODS.join(", ").into())),
            // In seconds: a host that failed was rebuilt by then, and a registry is asked again.
            Reason::HostFailure
            | Reason::PolicyUnavailable
            | Reason::TokenStoreUnavailable
            | Reason::RegistryUnavailable
            | Reason::IssuerKeysUnavailable
            | Reason::UpstreamCredentialUnavailable
            | Reason::BudgetUnavailable
            | Reason::RateLimitUnavailable => Some(("retry-after", "1".into())),
            // No try before the reset succeeds: OpenAI's and Anthropic's SDKs heed this.
            Reason::BudgetExceeded => Some(("x-should-retry", "false".into())),
            _ => None,
        };
        if let Some(more) = more {
            headers.push(more);
        }
        headers.extend(own);
        Self { status: reason.status(), headers, body: body(reason, words, dialect) }
    }
}

/// Returns the status of an error; 502 for that of any other answer.
const fn of_error(status: u16) -> u16 {
    if matches!(status, 400..=599) { status } else { 502 }
}

fn body(reason: Reason, words: Option<&str>, dialect: Dialect) -> String {
    let kind = ErrorKind::of(reason.status());
    let (mut text, mut status) = (String::with_capacity(256), itoa::Buffer::new());
    // The members come in the order of their names, as in every JSON text of ours.
    let before_message = match dialect {
        Dialect::OpenAi => ["{\"error\":{\"code\":\"", reason.code(), "\",\"message\":"],
        // The SDKs offer `details.error_code` as a field of their exceptions.
        Dialect::Anthropic => {
            ["{\"error\":{\"details\":{\"error_code\":\"", reason.code(), "\"},\"message\":"]
        }
        Dialect::Google => ["{\"error\":{\"code\":", status.format(reason.status()), ",\"message\":"],
    };
    text.extend(before_message);
    match words {
        None => {
            text.push('"');
            text.push_str(reason.message());
            text.push('"');
        }
        Some(words) => push_text(&mut text, &format!("{}; {words}", reason.message())),
    }
    text.extend(match dialect {
        Dialect::OpenAi => [",\"param\":null,\"type\":\"", kind.openai, "\"}}"],
        Dialect::Anthropic => [",\"type\":\"", kind.anthropic, "\"},\"type\":\"error\"}"],
        Dialect::Google => [",\"status\":\"", kind.google, "\"}}"],
    });
    text
}

/// Writes a JSON string.
fn push_text(text: &mut String, value: &str) {
    if plain_length(value.as_bytes()) == value.len() {
        text.extend(["\"", value, "\""]);
    } else {
        text.push_str(&Value::from(value).to_string());
    }
}

/// The names that the three families of APIs have for an error of one status.
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
            404 => {
                Self { openai: "invalid_request_error", anthropic: "not_found_error", google: "NOT_FOUND" }
            }
            429 => Self {
                openai: "rate_limit_error",
                anthropic: "rate_limit_error",
                google: "RESOURCE_EXHAUSTED",
            },
            501 => Self {
                openai: "invalid_request_error",
                anthropic: "invalid_request_error",
                google: "UNIMPLEMENTED",
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
