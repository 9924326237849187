//! Which service a request is for, and what the stand-in answers in its place.
//!
//! A request may ask for a refusal: `x-standin-status: 429` is answered with that status, in the words of the
//! service.

use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue, SERVER, SET_COOKIE},
};
use serde_json::{Value, json};

use super::{
    Received, anthropic, gemini, openai,
    websocket::{self, Conversation},
};

/// A whole answer, or the events of a stream.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Json(Value),
    /// Events, each with the empty line that ends it.
    Events {
        events: Vec<String>,
        /// The number of the first that has text; libraries show their users nothing of what comes before.
        first_text: usize,
    },
    /// A conversation over a WebSocket.
    WebSocket(Conversation),
}

impl From<Value> for Content {
    fn from(json: Value) -> Self {
        Self::Json(json)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
}

pub(super) fn answer(request: &Received) -> Answer {
    let dialect = dialect(request);
    if let Some(status) = request.header("x-standin-status").and_then(|status| status.parse().ok()) {
        return refusal(dialect, status);
    }
    if websocket::is_asked_for(request) {
        return websocket::accept(request, headers(dialect));
    }
    let content = match dialect {
        Dialect::OpenAi => openai::answer(request),
        Dialect::Anthropic => anthropic::answer(request),
        Dialect::Gemini => gemini::answer(request),
    };
    Answer {
        status: 200,
        headers: headers(dialect),
        content: content.unwrap_or_else(|| echo(request).into()),
    }
}

fn dialect(request: &Received) -> Dialect {
    let path = request.path();
    let at = |host: &str, slug: &str| request.sni == host || path.contains(slug);
    if path.contains("/v1beta/openai/") {
        Dialect::OpenAi
    } else if at("api.anthropic.com", "/anthropic/") {
        Dialect::Anthropic
    } else if at("generativelanguage.googleapis.com", "/google-ai-studio/") {
        Dialect::Gemini
    } else {
        Dialect::OpenAi
    }
}

fn refusal(dialect: Dialect, status: u16) -> Answer {
    let message = format!("the stand-in was asked to answer {status}");
    let body = match dialect {
        Dialect::OpenAi => openai::error(&message),
        Dialect::Anthropic => anthropic::error(status, &message),
        Dialect::Gemini => gemini::error(status, &message),
    };
    Answer { status, headers: headers(dialect), content: body.into() }
}

/// What the services send with every answer, and a cookie that nobody should be given.
fn headers(dialect: Dialect) -> HeaderMap {
    let request_id = match dialect {
        Dialect::Anthropic => "request-id",
        Dialect::OpenAi | Dialect::Gemini => "x-request-id",
    };
    HeaderMap::from_iter([
        (HeaderName::from_static(request_id), HeaderValue::from_static("req_standin")),
        (SET_COOKIE, HeaderValue::from_static("__cf_bm=standin; HttpOnly")),
        (SERVER, HeaderValue::from_static("stand-in")),
    ])
}

fn echo(request: &Received) -> Value {
    json!({"stand_in": format!("{} {}", request.method, request.target)})
}

/// What the assistant says: the credentials that reached the stand-in, so that a reader sees the swap.
pub(super) fn greeting(request: &Received) -> String {
    let credentials = request.credentials();
    if credentials.is_empty() {
        return "Hello from the stand-in gateway. No credential reached me.".to_owned();
    }
    let noun = if credentials.len() == 1 { "credential" } else { "credentials" };
    format!("Hello from the stand-in gateway. The {noun} that reached me: {}", credentials.join(", "))
}

/// A text in the pieces of a stream.
pub(super) fn pieces(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

/// The model that the request names.
pub(super) fn model(request: &Received) -> String {
    request.json().get("model").and_then(Value::as_str).unwrap_or("stand-in").to_owned()
}

/// Whether the body asks for a stream.
pub(super) fn wants_stream(request: &Received) -> bool {
    request.json().get("stream").and_then(Value::as_bool).unwrap_or_default()
}

/// An event with a name, which is also the `type` of its data.
pub(super) fn named_event(data: &Value) -> String {
    let name = data.get("type").and_then(Value::as_str).unwrap_or("message");
    format!("event: {name}\ndata: {data}\n\n")
}
