//! The address of a server that receives an administrator's password.

use std::net::IpAddr;

use anyhow::{Context as _, bail, ensure};
use reqwest::Url;

const EXPECTED: &str = "expected the address of a server, such as `https://keyswap.example.com`";

/// A server: scheme, host and port. It holds no secret.
#[derive(Clone, Debug)]
pub(in crate::command) struct Address(Url);

impl Address {
    /// Parses the address. Plain HTTP is accepted only for a loopback address, or for any with `allow_plaintext`.
    pub(in crate::command) fn parse(text: &str, allow_plaintext: bool) -> anyhow::Result<Self> {
        // Errors do not repeat the text: it may hold a password.
        let url = Url::parse(text).ok().with_context(|| format!("invalid `--server`: {EXPECTED}"))?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        ensure!(is_plain, "invalid `--server`: the address must not contain a user name or password");
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        ensure!(is_bare && url.host_str().is_some(), "invalid `--server`: {EXPECTED}");
        let address = Self(url);
        match address.0.scheme() {
            "https" => Ok(address),
            "http" if allow_plaintext || address.is_loopback() => Ok(address),
            "http" => bail!(
                "{address} has no TLS, so the password could be read in transit: use `https://`, or pass \
                 `--allow-plaintext` if you trust the network"
            ),
            _ => bail!("invalid `--server`: {EXPECTED}"),
        }
    }

    /// Returns true if nobody on the network reads what is sent to the address.
    pub(in crate::command) fn keeps_secrets(&self) -> bool {
        self.has_tls() || self.is_loopback()
    }

    /// Returns true if requests to the address do not leave this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let ip = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        host == "localhost" || ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Returns true if the scheme is `https`.
    pub(super) fn has_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns the URL of a path. Each segment is percent-encoded.
    pub(super) fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        url
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_leaves_this_machine_by_tls_or_when_it_is_allowed_to() {
        for (text, allowed, plaintext) in [
            ("https://keyswap.example", true, true),
            ("HTTPS://keyswap.example:8443/", true, true),
            ("http://keyswap.example", false, true),
            ("http://10.0.0.1:7070", false, true),
            ("http://localhost.example", false, true),
            ("http://localhost.", false, true),
            ("http://127.0.0.1.example", false, true),
            ("http://[::ffff:10.0.0.1]", false, true),
            ("http://0.0.0.0:7070", false, true),
            ("http://localhost:7070", true, true),
            ("http://127.0.0.1:7070", true, true),
            ("http://[::1]:7070", true, true),
        ] {
            assert_eq!(Address::parse(text, false).is_ok(), allowed, "{text}");
            assert_eq!(Address::parse(text, true).is_ok(), plaintext, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused_without_repeating_it() {
        for text in [
            "",
            "SENTINEL",
            "SENTINEL.example:7070",
            "https://",
            "ftp://SENTINEL",
            "file:///SENTINEL",
            "https://admin:SENTINEL@keyswap.example",
            "https://SENTINEL@keyswap.example",
            "https://keyswap.example/SENTINEL",
            "https://keyswap.example/?password=SENTINEL",
            "https://keyswap.example/#SENTINEL",
        ] {
            let error = format!("{:#}", Address::parse(text, true).unwrap_err());
            assert!(
                error.starts_with("invalid `--server`: ") && !error.contains("SENTINEL"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_segment_stays_one() {
        let address = Address::parse("https://a.example", false).unwrap();
        let url = address.at(&["users", "../a/b?c#d%@x"]);
        assert_eq!(url.as_str(), "https://a.example/users/..%2Fa%2Fb%3Fc%23d%25@x");
    }
}
