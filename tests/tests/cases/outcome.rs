//! What became of a request, in whichever host, in a form that can be compared to the byte.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use keyswap_tests::cases::{Answered, Case, Forwarded, Reply};
use keyswap_tests::{Received, Response};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// What the upstream saw, and what the caller got of its answer.
    Forwarded(Forwarded, Answered),
    /// What the caller got instead.
    Replied(Answered),
}

impl Outcome {
    /// What happened in a host, as the stand-in and the caller saw it.
    pub(crate) fn observed(received: &[Received], response: &Response) -> Result<Self> {
        let answer = answered(response.status, &response.headers, response.text());
        let [request] = received else {
            ensure!(received.is_empty(), "one request became {}", received.len());
            return Ok(Self::Replied(answer));
        };
        let mut headers = joined(&request.headers);
        let authority = headers.remove("host").unwrap_or_default();
        ensure!(request.sni == authority, "it was sent to `{}` as one for `{authority}`", request.sni);
        headers.retain(|name, _| !is_of_connection(name));
        let forwarded = Forwarded {
            method: Some(request.method.clone()),
            authority,
            target: request.target.clone(),
            headers,
        };
        Ok(Self::Forwarded(forwarded, answer))
    }

    /// Whether it is what the file says.
    pub(crate) fn check(&self, case: &Case) -> Result<()> {
        match (self, &case.forward, &case.reply, &case.answer) {
            (Self::Forwarded(found, _), Some(expected), None, None) => {
                let method = expected.method.clone().or_else(|| Some(case.request.method.clone()));
                let expected = &Forwarded { method, ..expected.clone() };
                ensure!(
                    found == expected,
                    "forwarded otherwise:\n found:    {found:?}\n expected: {expected:?}"
                );
            }
            (Self::Replied(found), None, None, Some(expected)) => {
                ensure!(
                    found == expected,
                    "answered otherwise:\n found:    {found:?}\n expected: {expected:?}"
                );
            }
            (Self::Replied(found), None, Some(expected), None) => {
                let body: Value = serde_json::from_str(&found.body)?;
                let reason = found.headers.get("x-keyswap-reason").cloned().unwrap_or_default();
                let found = Reply { status: found.status, reason, dialect: dialect(&body).to_owned() };
                ensure!(
                    found == *expected,
                    "replied otherwise:\n found:    {found:?}\n expected: {expected:?}"
                );
            }
            _ => bail!("the verdict is another one: {self:?}"),
        }
        Ok(())
    }
}

/// An answer as a caller sees it, without what belongs to the connection.
pub(crate) fn answered(status: u16, headers: &[(String, Vec<u8>)], body: String) -> Answered {
    let mut headers = joined(headers);
    headers.retain(|name, _| !is_of_connection(name));
    // What counts the seconds differs from one moment to the next.
    for name in ["retry-after", "ratelimit"] {
        headers.entry(name.to_owned()).and_modify(|value| "…".clone_into(value));
    }
    Answered { status, headers, body }
}

/// The lines by name. A second line of one name would be a difference, so it does not vanish.
pub(crate) fn joined(lines: &[(String, Vec<u8>)]) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, value) in lines {
        let value = String::from_utf8_lossy(value).into_owned();
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|first: &mut String| first.extend([", ", &value]))
            .or_insert(value);
    }
    headers
}

/// Headers that belong to a connection, or that hosts add for themselves.
pub(crate) fn is_of_connection(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "connection"
            | "keep-alive"
            | "content-length"
            | "transfer-encoding"
            | "date"
            | "x-request-id"
            | "upgrade"
    )
}

/// Whose SDK would understand this error body.
fn dialect(body: &Value) -> &'static str {
    let error = &body["error"];
    match (body["type"] == "error", error["code"].is_string(), error["status"].is_string()) {
        (true, false, false) if error["type"].is_string() => "anthropic",
        (false, true, false) if error["type"].is_string() => "openai",
        (false, false, true) if error["code"].is_number() => "google",
        _ => "unknown",
    }
}
