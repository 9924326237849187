//! Settings of sign-in by Cloudflare Access.
//!
//! The engine's rules apply: the issuer is read as part of a small policy, and the errors are reworded for the command
//! line.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use keyswap_core::identity::jwt::Issuer;
use keyswap_core::policy::Policy;
use serde_json::{Map, json};

use crate::server::issuer_keys::IssuerOptions;

const OPTIONS: IssuerOptions =
    IssuerOptions { issuer: "--access-issuer", audience: "--access-audience", keys_url: "--access-keys-url" };

/// The option with the URL of the keys.
pub(super) const KEYS_URL: &str = "--access-keys-url";

/// The accepted tokens of Cloudflare Access, and the administrators.
#[derive(Debug)]
pub struct AccessSettings {
    /// The domain of the team, such as `https://acme.cloudflareaccess.com`.
    pub issuer: String,
    /// The audience tags of the application.
    pub audiences: Vec<String>,
    /// The email addresses of the administrators.
    pub admins: Vec<String>,
    /// The URL of the keys, if it is not the issuer's.
    pub keys_url: Option<String>,
}

impl AccessSettings {
    pub(super) fn issuer(&self) -> anyhow::Result<Issuer> {
        let fields = [
            ("name", json!("access")),
            ("preset", json!("cloudflare_access")),
            ("issuer", json!(self.issuer)),
            ("audiences", json!(self.audiences)),
            // The email addresses select the administrators, outside of this policy.
            ("principals", json!("any")),
        ];
        let jwks = self.keys_url.as_ref().map(|url| ("jwks", json!({"url": url})));
        let issuer: Map<_, _> =
            fields.into_iter().chain(jwks).map(|(name, value)| (name.to_owned(), value)).collect();
        let policy = json!({"version": "keyswap/v1", "credentials": {}, "issuers": [issuer]});
        let policy =
            Policy::from_json(policy.to_string().as_bytes()).map_err(|errors| OPTIONS.in_words(&errors))?;
        policy.issuers().first().cloned().context("the policy has no issuer")
    }

    /// Returns the administrators' addresses in lower case. No address, or an invalid one, is an error.
    pub(super) fn admins(&self) -> anyhow::Result<BTreeSet<String>> {
        let is_address = |text: &str| text.contains('@') && !text.chars().any(char::is_whitespace);
        let read = |text: &String| {
            let email = text.trim().to_ascii_lowercase();
            ensure!(is_address(&email), "invalid `--access-admin`: expected an email address");
            Ok(email)
        };
        let admins = self.admins.iter().map(read).collect::<anyhow::Result<BTreeSet<_>>>()?;
        ensure!(!admins.is_empty(), "name at least one administrator with `--access-admin`");
        Ok(admins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::issuer_keys::Place;

    fn settings() -> AccessSettings {
        AccessSettings {
            issuer: "https://acme.cloudflareaccess.com".to_owned(),
            audiences: vec!["4714".to_owned()],
            admins: vec![" Alice@Acme.example ".to_owned(), "bob@acme.example".to_owned()],
            keys_url: None,
        }
    }

    /// Returns the URL of the keys, or the text of the error.
    fn keys(settings: &AccessSettings) -> String {
        let issuer = settings.issuer();
        let place = issuer.and_then(|issuer| Ok(Place::of(&issuer, KEYS_URL)?.0));
        let found = place.map(|place| match place {
            Place::Set(url) | Place::Document(url, _) | Place::Both(_, url) => url.to_string(),
        });
        found.unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn the_keys_are_at_the_issuer_unless_said_and_come_by_tls_or_from_this_machine() {
        for issuer in [
            "https://acme.cloudflareaccess.com",
            "acme.cloudflareaccess.com",
            "https://Acme.cloudflareaccess.com/",
        ] {
            let settings = AccessSettings { issuer: issuer.to_owned(), ..settings() };
            assert_eq!(keys(&settings), "https://acme.cloudflareaccess.com/cdn-cgi/access/certs");
        }
        let at = |url: &str| keys(&AccessSettings { keys_url: Some(url.to_owned()), ..settings() });
        for url in ["https://keys.example:8443/a?b=c", "http://127.0.0.1:9/keys", "http://[::1]:9/keys"] {
            assert_eq!(at(url), url);
        }
        for url in [
            "",
            "ftp://127.0.0.1/keys",
            "http://keys.example/",
            "http://10.0.0.1/keys",
            "http://localhost/keys",
            "http://127.0.0.1.example/keys",
            "https://a:b@keys.example/",
        ] {
            assert!(at(url).starts_with("invalid `--access-keys-url`: "), "{url}: {}", at(url));
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_the_words_of_the_command_line() {
        let settings = AccessSettings {
            issuer: "https://acme.cloudflareaccess.com/team".to_owned(),
            audiences: vec!["a".to_owned(), "a".to_owned()],
            ..settings()
        };
        let error = settings.issuer().unwrap_err().to_string();
        assert!(error.contains("invalid `--access-issuer`: expected the domain of a team"), "{error}");
        assert!(error.contains("invalid `--access-audience`: this stands twice"), "{error}");
    }

    #[test]
    fn administrators_are_named_by_their_whole_address_in_lower_case() {
        let admins = settings().admins().unwrap();
        assert_eq!(admins.into_iter().collect::<Vec<_>>(), ["alice@acme.example", "bob@acme.example"]);
        for wrong in ["", " ", "alice", "*", "alice @acme.example"] {
            let settings = AccessSettings { admins: vec![wrong.to_owned()], ..settings() };
            assert!(settings.admins().is_err(), "{wrong}");
        }
        assert!(AccessSettings { admins: Vec::new(), ..settings() }.admins().is_err());
    }
}
