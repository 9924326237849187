//! Responses of a server. The address may be wrong, so a response is treated as slow, large or hostile.

use std::fmt;

use anyhow::{Context as _, anyhow, bail, ensure};
use reqwest::{Response, StatusCode, header};
use serde::Deserialize;

use super::address::Address;
use crate::command::connection::refused::RefusedError;
use crate::command::terminal::output::visible;
use crate::registry::RegistryError;

/// The longest response that is read.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// The longest text of a server that an error quotes.
const MAX_TEXT_CHARS: usize = 300;

/// A response that `keyswap serve` does not give.
#[derive(Debug)]
pub(super) struct NotKeyswapError;

impl fmt::Display for NotKeyswapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the server does not answer like `keyswap serve`: check the address and the server's version",
        )
    }
}

impl std::error::Error for NotKeyswapError {}

/// An error of the server (RFC 9457, problem details).
#[derive(Deserialize)]
struct Problem {
    status: u16,
    code: String,
    detail: String,
}

/// A successful response.
pub(super) struct Success {
    pub(super) status: StatusCode,
    pub(super) cookie: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Reads a response. A redirect or an error status becomes an error worded for the user.
pub(super) async fn read(mut response: Response, address: &Address) -> anyhow::Result<Success> {
    let status = response.status();
    ensure!(
        !status.is_redirection(),
        "{address} redirects{}, where the password is not sent: pass the address of `keyswap serve` itself",
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

/// Returns the error for the user, with a remedy where the code of the problem implies one.
fn in_words(problem: &Problem, retry_after: Option<u32>, address: &Address) -> anyhow::Error {
    match problem.code.as_str() {
        "wrong_password" => {
            anyhow!(
                "{address} refused the password: check that it equals `KEYSWAP_ADMIN_PASSWORD` of that server"
            )
        }
        "invalid_api_key" => anyhow!("{address} refused the API key: it is unknown, expired or revoked"),
        "too_many_tries" => {
            let seconds = retry_after.unwrap_or(60);
            anyhow!("{address} got too many sign-in attempts: try again in {seconds} seconds")
        }
        "unauthorized" => anyhow!("{address} ended the session, perhaps after a password change: try again"),
        "database_unavailable" => {
            anyhow!("{address} cannot reach its database: try again later")
        }
        // Callers know this one: a policy that is there lacks a revision.
        "unknown_policy" => RegistryError::UnknownPolicy.into(),
        _ if problem.status == StatusCode::FORBIDDEN => RefusedError(cut(&problem.detail)).into(),
        _ => anyhow!(cut(&problem.detail)),
    }
}

/// Returns the error for a request that got no complete response.
pub(super) fn unreachable(error: &reqwest::Error, address: &Address) -> anyhow::Error {
    if error.is_timeout() {
        return anyhow!("{address} did not answer in time: check that it is the address of `keyswap serve`");
    }
    // The innermost error is the shortest. No error in the chain contains the request.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let cause = cut(&cause.to_string());
    if error.is_connect() {
        let remedy = if address.has_tls() {
            "check that `keyswap serve` answers there over TLS, with a certificate that this machine trusts \
             (`SSL_CERT_FILE` adds more)"
        } else {
            "check that `keyswap serve` is running there"
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

/// Truncates a text of the server to [`MAX_TEXT_CHARS`] and escapes its control characters.
fn cut(text: &str) -> String {
    visible(&text.chars().take(MAX_TEXT_CHARS).collect::<String>())
}

/// Parses a JSON response of `keyswap serve`.
pub(super) fn json<T: for<'de> Deserialize<'de>>(body: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(body).ok().context(NotKeyswapError)
}
