//! The services: the service of a request, and the stand-in's answer for it.
//!
//! A request may ask for a refusal: `x-standin-status: 429` is answered with that status, in the format of the service.

use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue, SERVER, SET_COOKIE},
};
use serde_json::{Value, json};

use super::{answer::Answer, anthropic, gemini, openai, received::Received, websocket};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
}

/// Returns the answer of the request's service.
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

/// Returns the headers of every answer, with a cookie that must not reach callers.
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
