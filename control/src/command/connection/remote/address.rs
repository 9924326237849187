//! The address of a server to which an administrator's password may be sent.

use std::net::IpAddr;

use anyhow::{Context as _, bail, ensure};
use reqwest::Url;

const EXPECTED: &str = "expected the address of a server, such as `https://keyswap.example.com`";

/// A server: a scheme, a host and a port. Nothing of it is a secret.
#[derive(Clone, Debug)]
pub(in crate::command) struct Address(Url);

impl Address {
    /// Reads the address. Without TLS only this machine is acceptable, unless `allow_plaintext` says otherwise.
    pub(in crate::command) fn parse(text: &str, allow_plaintext: bool) -> anyhow::Result<Self> {
        // What is wrong is told without the text: it may hold a password.
        let url = Url::parse(text).ok().with_context(|| format!("invalid `--server`: {EXPECTED}"))?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        ensure!(is_plain, "invalid `--server`: a password does not belong into the address");
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        ensure!(is_bare && url.host_str().is_some(), "invalid `--server`: {EXPECTED}");
        let address = Self(url);
        match address.0.scheme() {
            "https" => Ok(address),
            "http" if allow_plaintext || address.is_loopback() => Ok(address),
            "http" => bail!(
                "{address} has no TLS, so others could read the password on its way: use `https://`, or say \
                 `--allow-plaintext` if nobody else can be on that network"
            ),
            _ => bail!("invalid `--server`: {EXPECTED}"),
        }
    }

    /// Returns true if what is sent there leaves this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let ip = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        host == "localhost" || ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Returns true if it is reached by way of TLS.
    pub(super) fn has_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns the URL of a path; each segment is escaped.
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
