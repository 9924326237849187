//! The URL of the proxy in the dashboard's examples.

use std::fmt;
use std::str::FromStr;

use anyhow::ensure;
use axum::http::Uri;

/// A URL that needs no escaping in a quoted string of a shell, of Python or of JavaScript.
#[derive(Clone, Debug)]
pub struct ProxyUrl(String);

impl FromStr for ProxyUrl {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "-._~:/%[]".contains(char);
        let uri = text.parse::<Uri>().ok();
        let is_web = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
        });
        ensure!(
            is_web && text.chars().all(is_plain),
            "expected an address such as `https://llm.example.com`"
        );
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_no_quoting() {
        for (text, expect) in [
            ("https://llm.example.com/", "https://llm.example.com"),
            ("http://127.0.0.1:10000", "http://127.0.0.1:10000"),
            ("http://[::1]:8080/keys", "http://[::1]:8080/keys"),
        ] {
            assert_eq!(text.parse::<ProxyUrl>().unwrap().to_string(), expect);
        }
        for text in [
            "",
            "llm.example.com",
            "ftp://a",
            "http://",
            "http://a/\"",
            "http://a/$(x)",
            "http://a?b",
            "http://u:p@a",
        ] {
            assert!(text.parse::<ProxyUrl>().is_err(), "{text}");
        }
    }
}
