//! Responses of a server, read with care: it may be another server than was meant, and slow, large or hostile.

use std::fmt;

use anyhow::{Context as _, anyhow, bail, ensure};
use reqwest::{Response, StatusCode, header};
use serde::Deserialize;

use super::address::Address;
use crate::command::terminal::output::visible;

/// The most bytes of a response.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// The most characters of another's text in an error.
const MAX_TEXT_CHARS: usize = 300;

/// An error: the server's response is none of Keyswap's.
#[derive(Debug)]
pub(super) struct NotKeyswapError;

impl fmt::Display for NotKeyswapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the server does not answer as `keyswap serve` does: is the address right, and is it up to date?",
        )
    }
}

impl std::error::Error for NotKeyswapError {}

/// An error as Keyswap tells it (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    status: u16,
    code: String,
    detail: String,
}

/// A response that is a success.
pub(super) struct Success {
    pub(super) status: StatusCode,
    pub(super) cookie: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Reads a response. One that is no success is an error for people.
pub(super) async fn read(mut response: Response, address: &Address) -> anyhow::Result<Success> {
    let status = response.status();
    ensure!(
        !status.is_redirection(),
        "{address} redirects{}; the password is sent nowhere else: give the address of `keyswap serve` itself",
        destination(&response)
    );
    let retry_after = text(&response, &header::RETRY_AFTER).and_then(|seconds| seconds.parse::<u32>().ok());
    let is_problem = text(&response, &header::CONTENT_TYPE) == Some("application/problem+json");
    let cookie = text(&response, &header::SET_COOKIE).map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error, address))? {
        ensure!(body.len() + chunk.len() <= MAX_BODY_BYTES, NotKeyswapError);
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(Success { status, cookie, body });
    }
    let problem = serde_json::from_slice::<Problem>(&body).ok();
    let problem = problem.filter(|problem| is_problem && problem.status == status.as_u16());
    let Some(problem) = problem else {
        bail!(
            anyhow!(NotKeyswapError).context(format!("{address} answered with status {}", status.as_u16()))
        );
    };
    Err(in_words(&problem, retry_after, address))
}

/// Returns the problem in words, with what can be done about it.
fn in_words(problem: &Problem, retry_after: Option<u32>, address: &Address) -> anyhow::Error {
    match problem.code.as_str() {
        "wrong_password" => {
            anyhow!(
                "{address} refuses the password: is it the one in `KEYSWAP_ADMIN_PASSWORD` of that server?"
            )
        }
        "too_many_tries" => {
            let seconds = retry_after.unwrap_or(60);
            anyhow!("{address} has had too many tries to sign in: try again in {seconds} seconds")
        }
        "unauthorized" => anyhow!("{address} has ended the session, perhaps for a new password: try again"),
        "database_unavailable" => {
            anyhow!("{address} cannot answer now, since its database does not: try again later")
        }
        _ => anyhow!(cut(&problem.detail)),
    }
}

/// Returns the error of a request that got no response.
pub(super) fn unreachable(error: &reqwest::Error, address: &Address) -> anyhow::Error {
    if error.is_timeout() {
        return anyhow!("{address} does not answer in time: is it the address of `keyswap serve`?");
    }
    // The innermost error says it in the fewest words; none of them has the request in it.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let cause = cut(&cause.to_string());
    if error.is_connect() {
        let remedy = if address.has_tls() {
            "is `keyswap serve` reached there by way of TLS, with a certificate that this machine trusts \
             (`SSL_CERT_FILE` names more)?"
        } else {
            "is `keyswap serve` running there?"
        };
        return anyhow!("cannot reach {address}: {cause}: {remedy}");
    }
    anyhow!(NotKeyswapError).context(format!("{address}: {cause}"))
}

fn destination(response: &Response) -> String {
    text(response, &header::LOCATION).map_or_else(String::new, |to| format!(" to {}", cut(to)))
}

fn text<'a>(response: &'a Response, name: &header::HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Returns a text of the server, cut to a length and without control characters.
fn cut(text: &str) -> String {
    visible(&text.chars().take(MAX_TEXT_CHARS).collect::<String>())
}

/// Reads JSON that Keyswap answers.
pub(super) fn json<T: for<'de> Deserialize<'de>>(body: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(body).ok().context(NotKeyswapError)
}
