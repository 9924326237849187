//! The address of something to fetch, such as an issuer's keys.

use std::fmt;

use crate::syntax::{BaseUrl, RequestPath, is_exposed, site};

/// An `https` or `http` URL to fetch, without credentials or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Set where the scheme is `https`.
    pub https: bool,
    /// Host and port in lower case, without the scheme's default port.
    pub authority: String,
    /// Path and query, beginning with `/`.
    pub path: String,
}

impl Endpoint {
    /// Reads a URL. The error says what is wrong, and never repeats the URL.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("expected a URL that begins with `https://`")?;
        let slash = rest.find('/').and_then(|at| rest.split_at_checked(at));
        let (authority, path) = slash.unwrap_or((rest, "/"));
        let base = BaseUrl::parse(&format!("{scheme}://{authority}"))?;
        RequestPath::parse(path.as_bytes()).map_err(
            |_| "expected a plain path: no dot segments, empty segments, fragments or escaped slashes",
        )?;
        Ok(Self { https: base.https, authority: base.authority, path: path.to_owned() })
    }

    /// Returns scheme and authority.
    pub(crate) fn site(&self) -> String {
        site(self.https, &self.authority)
    }

    /// Returns the host, without the port.
    pub(crate) fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => &self.authority,
        }
    }

    /// Returns true if others on the network can read and replace what is sent.
    pub(crate) fn is_exposed(&self) -> bool {
        is_exposed(self.https, self.host())
    }

    /// Returns whether both have the same scheme and authority.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.https == other.https && self.authority == other.authority
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.https { "https" } else { "http" }, self.authority, self.path)
    }
}
