//! Requests and answers as an upstream and a caller see them, in any host.

use std::collections::BTreeMap;

/// A request as the upstream sees it, without what belongs to the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The method.
    pub method: String,
    /// The authority.
    pub authority: String,
    /// The request target.
    pub target: String,
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// An answer as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Forwarded {
    /// Returns a request with these header lines, without those of the connection and those that hosts add.
    pub fn of<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        method: &str,
        authority: &str,
        target: &str,
        lines: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        const OF_CONNECTION: [&str; 6] =
            ["host", "connection", "content-length", "transfer-encoding", "upgrade", "x-request-id"];
        let mut headers = joined(lines);
        headers.retain(|name, _| !OF_CONNECTION.contains(&name.as_str()));
        Self {
            method: method.to_owned(),
            authority: authority.to_owned(),
            target: target.to_owned(),
            headers,
        }
    }
}

impl Answered {
    /// Returns an answer with these header lines.
    pub fn of<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        status: u16,
        lines: impl IntoIterator<Item = (N, V)>,
        body: String,
    ) -> Self {
        Self { status, headers: joined(lines), body }
    }
}

/// Returns the lines by name. A second line of one name is joined to the first, since dropping it would hide a difference.
fn joined<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    lines: impl IntoIterator<Item = (N, V)>,
) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, value) in lines {
        let [name, value] = [name.as_ref(), value.as_ref()].map(plain);
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|first: &mut String| first.extend([", ", &value]))
            .or_insert(value);
    }
    headers
}

/// Returns bytes as text.
pub(super) fn plain(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
