//! The addresses of upstreams and gateways in a policy: scheme, host, port and a path in front of the client's.

use std::net::IpAddr;

use super::path::RequestPath;

/// An `https` or `http` URL without credentials, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Set where the scheme is `https`.
    pub https: bool,
    /// Host and port in lower case, as `:authority` has them: without the scheme's default port.
    pub authority: String,
    /// Empty, or `/…` without a slash at the end.
    pub path: String,
}

impl BaseUrl {
    /// Returns scheme and authority, as allow-lists of hosts have them.
    pub fn site(&self) -> String {
        site(self.https, &self.authority)
    }

    /// Returns the authority without the port.
    pub(crate) fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &self.authority,
        }
    }

    /// Returns true if others on the network can read and replace what is sent: see [`is_exposed`].
    pub(crate) fn is_exposed(&self) -> bool {
        is_exposed(self.https, self.host())
    }

    /// Reads a URL. The error says what is wrong, and never repeats the URL.
    ///
    /// # Errors
    /// A URL that no upstream can have. The error does not quote the URL.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err("expected a URL that begins with `https://`"),
        };
        let (authority, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
        let default_port = if https { "443" } else { "80" };
        let authority = parse_authority(authority, default_port)?;
        Ok(Self { https, authority, path: parse_path(path)? })
    }
}

/// Returns scheme and authority as a URL.
pub(crate) fn site(https: bool, authority: &str) -> String {
    let scheme = if https { "https" } else { "http" };
    format!("{scheme}://{authority}")
}

/// Returns the host of an authority, without the port.
pub(crate) fn host_of(authority: &[u8]) -> &[u8] {
    match authority.iter().rposition(|byte| *byte == b':') {
        Some(at) if authority.get(at + 1..).is_some_and(|port| port.iter().all(u8::is_ascii_digit)) => {
            authority.get(..at).unwrap_or_default()
        }
        _ => authority,
    }
}

/// Returns true if requests to a host leave the machine without TLS. The metadata servers of clouds, which speak no TLS,
/// answer on a link of the machine's own.
pub(crate) fn is_exposed(https: bool, host: &str) -> bool {
    const OWN: [&str; 3] = ["localhost", "169.254.169.254", "metadata.google.internal"];
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let is_loopback = address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    !https && !is_loopback && !OWN.contains(&host)
}

fn parse_authority(text: &str, default_port: &str) -> Result<String, &'static str> {
    if text.contains('@') {
        return Err("a URL here has no user or password: name a credential instead");
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if !is_host(host) {
        return Err("expected a host name or an address after `://`");
    }
    let host = host.to_ascii_lowercase();
    match port {
        None => Ok(host),
        Some(port) if port == default_port => Ok(host),
        Some(port) if port.parse::<u16>().is_ok_and(|number| number > 0) => Ok(format!("{host}:{port}")),
        Some(_) => Err("expected a port from 1 to 65535"),
    }
}

/// Tells whether a text is a host name or an address, in any case.
pub(crate) fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    host.len() <= 253
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

fn parse_path(text: &str) -> Result<String, &'static str> {
    let text = text.trim_end_matches('/');
    if text.is_empty() {
        return Ok(String::new());
    }
    match RequestPath::parse(text.as_bytes()) {
        Ok(RequestPath { query: None, .. }) => Ok(text.to_owned()),
        Ok(_) => Err("a URL here has no query"),
        Err(_) => Err("expected a plain path: no dot segments, empty segments, fragments or escaped slashes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_host_port_and_path() {
        for (text, authority, path) in [
            ("https://api.openai.com", "api.openai.com", ""),
            ("https://API.openai.com:443/", "api.openai.com", ""),
            ("https://llm.internal:8443/openai/v2/", "llm.internal:8443", "/openai/v2"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", ""),
            ("http://[::1]:80/x", "[::1]", "/x"),
        ] {
            let https = text.starts_with("https");
            let expect = BaseUrl { https, authority: authority.to_owned(), path: path.to_owned() };
            assert_eq!(BaseUrl::parse(text), Ok(expect), "{text}");
        }
    }

    #[test]
    fn tells_addresses_beyond_the_machine_without_tls() {
        for (url, exposed) in [
            ("https://registry.example", false),
            ("http://registry.example", true),
            ("http://registry.example:443", true),
            ("http://registry", true),
            ("http://127.0.0.1:7070", false),
            ("http://127.9.9.9", false),
            ("http://LOCALHOST:7070/base", false),
            ("http://[::1]:7070", false),
            ("http://[::ffff:127.0.0.1]:80", false),
            ("http://169.254.169.254/latest", false),
            ("http://metadata.google.internal", false),
            ("http://169.254.169.253", true),
            ("http://metadata.google.internal.example", true),
            ("http://localhost.example", true),
            ("http://my.localhost", true),
            ("http://0.0.0.0:7070", true),
            ("http://[::]:7070", true),
            ("http://10.0.0.1", true),
            ("http://127.1", true),
            ("http://2130706433", true),
            ("http://[fe80::1]:7070", true),
        ] {
            assert_eq!(BaseUrl::parse(url).map(|url| url.is_exposed()), Ok(exposed), "{url}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_pin() {
        for text in [
            "",
            "api.openai.com",
            "ftp://x",
            "https://",
            "https:///x",
            "https://user:pw@host",
            "https://host:0",
            "https://host:99999",
            "https://host:",
            "https://ho st",
            "https://host/a/../b",
            "https://host/a?b",
            "https://host/a#b",
            "https://host?x",
            "https://host#x",
            "https://[zz]",
            "https://a..b",
        ] {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }
}
