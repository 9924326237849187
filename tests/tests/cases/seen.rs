//! The views of the upstream and the caller in any host, in a form that can be compared byte for byte.

use anyhow::{Result, ensure};
use keyswap_cases::{Answered, Forwarded};
use keyswap_tests::{Received, Response};

/// The views of the upstream and the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The upstream's request. `None` if it got none.
    pub(crate) upstream: Option<Forwarded>,
    /// The caller's answer.
    pub(crate) caller: Answered,
}

impl Seen {
    /// Returns the views of the stand-in and of a host's caller.
    pub(crate) fn in_host(received: &[Received], response: &Response) -> Result<Self> {
        let caller = answered(response.status, &response.headers, response.text());
        let [request] = received else {
            ensure!(received.is_empty(), "one request became {}", received.len());
            return Ok(Self { upstream: None, caller });
        };
        ensure!(request.header_count("host") == 1, "it has {} hosts", request.header_count("host"));
        let authority = request.header("host").unwrap_or_default();
        ensure!(request.sni == authority, "it was sent to `{}` as one for `{authority}`", request.sni);
        let lines = request.headers.iter().map(|(name, value)| (name, value));
        let upstream = Forwarded::of(&request.method, authority, &request.target, lines);
        Ok(Self { upstream: Some(upstream), caller })
    }

    /// Returns the views without the lines that `fetch` writes for itself.
    pub(crate) fn of_fetch(mut self) -> Self {
        let own = ["accept", "accept-encoding", "accept-language", "sec-fetch-mode", "user-agent"];
        if let Some(upstream) = &mut self.upstream {
            upstream.headers.retain(|name, _| !own.contains(&name.as_str()));
        }
        self
    }
}

/// Returns the caller's view of an answer.
pub(crate) fn answered(status: u16, lines: &[(String, Vec<u8>)], body: String) -> Answered {
    at_any_moment(&Answered::of(status, lines.iter().map(|(name, value)| (name, value)), body))
}

/// Returns the answer without parts that depend on the connection or the time.
pub(crate) fn at_any_moment(answer: &Answered) -> Answered {
    let mut answer = answer.clone();
    answer.headers.retain(|name, _| !is_of_connection(name));
    // Numbers of seconds depend on the time, and on what earlier requests took.
    for name in ["retry-after", "ratelimit", "x-ratelimit-reset-tokens"] {
        answer.headers.entry(name.to_owned()).and_modify(|value| "…".clone_into(value));
    }
    answer
}

/// Returns true for headers that belong to a connection, or that hosts add for themselves.
fn is_of_connection(name: &str) -> bool {
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
