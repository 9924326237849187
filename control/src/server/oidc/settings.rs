//! Settings of sign-in by an `OpenID` provider.
//!
//! The engine's rules apply to the issuer: it is read as part of a small policy, and the errors are reworded for the command line.

use anyhow::{Context as _, ensure};
use keyswap_core::base::Digest;
use keyswap_core::identity::jwt::Issuer;
use keyswap_core::policy::Policy;
use reqwest::Url;
use serde_json::{Map, json};

use super::roles::Roles;
use crate::registry::SecretText;
use crate::server::issuer_keys::IssuerOptions;
use crate::server::public_url;

/// The option with the provider.
pub(super) const ISSUER: &str = "--oidc-issuer";
const OPTIONS: IssuerOptions =
    IssuerOptions { issuer: ISSUER, audience: "--oidc-client-id", keys_url: "--oidc-keys-url" };

/// The path to which the provider sends browsers back.
pub(in crate::server) const CALLBACK: &str = "/admin/sign-in/provider/callback";

/// The path to which the provider sends browsers that have signed out there.
const SIGNED_OUT: &str = "/admin/sign-in";

/// The provider, this server as its client, and the roles of its people.
#[derive(Debug)]
pub struct OidcSettings {
    /// The issuer, such as `https://id.example.com/realms/acme`.
    pub issuer: String,
    /// The id of this server at the provider.
    pub client_id: String,
    /// The secret of this server at the provider, `None` for a public client.
    pub client_secret: Option<SecretText>,
    /// The document with the rules that give roles.
    pub roles: Vec<u8>,
    /// The scopes to ask for.
    pub scopes: Vec<String>,
    /// The URL of the keys, if they are not at the issuer's host.
    pub keys_url: Option<String>,
    /// The address at which administrators reach this server.
    pub public_url: String,
}

impl OidcSettings {
    pub(super) fn issuer(&self) -> anyhow::Result<Issuer> {
        ensure!(!self.client_id.trim().is_empty(), "`--oidc-client-id` is empty");
        let fields = [
            ("name", json!("provider")),
            ("preset", json!("oidc")),
            ("issuer", json!(self.issuer)),
            ("audiences", json!([self.client_id])),
            // The rules select the people, outside of this policy.
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

    pub(super) fn roles(&self) -> anyhow::Result<Roles> {
        Roles::read(&self.roles).context("invalid `--oidc-roles`")
    }

    /// Returns the scopes as one text, always with `openid`.
    pub(super) fn scope(&self) -> String {
        let others = self
            .scopes
            .iter()
            .map(|scope| scope.trim())
            .filter(|scope| !scope.is_empty() && *scope != "openid");
        std::iter::once("openid").chain(others).collect::<Vec<_>>().join(" ")
    }

    /// Returns the URL to which the provider sends browsers back.
    pub(super) fn redirect_uri(&self) -> anyhow::Result<Url> {
        self.address(CALLBACK)
    }

    /// Returns the URL to which the provider sends browsers that have signed out there.
    pub(super) fn signed_out_uri(&self) -> anyhow::Result<Url> {
        self.address(SIGNED_OUT)
    }

    /// Returns the URL of a path of this server.
    fn address(&self, path: &str) -> anyhow::Result<Url> {
        let mut url = public_url::read(&self.public_url)?;
        url.set_path(path);
        Ok(url)
    }

    /// Returns a digest of all that gives roles: a session that was started under other settings ends.
    pub(super) fn digest(&self) -> Digest {
        let mut text = Vec::new();
        for part in [self.issuer.as_bytes(), self.client_id.as_bytes(), &self.roles] {
            text.extend_from_slice(&part.len().to_be_bytes());
            text.extend_from_slice(part);
        }
        Digest::of(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> OidcSettings {
        OidcSettings {
            issuer: "https://id.example/realms/a".to_owned(),
            client_id: "keyswap".to_owned(),
            client_secret: None,
            roles: b"roles: [{role: self_service}]".to_vec(),
            scopes: vec!["email".to_owned(), "openid".to_owned()],
            keys_url: None,
            public_url: "https://keyswap.example".to_owned(),
        }
    }

    #[test]
    fn the_redirect_uri_is_fixed_and_has_tls_or_stays_on_this_machine() {
        let at = |url: &str| OidcSettings { public_url: url.to_owned(), ..settings() }.redirect_uri();
        assert_eq!(
            at("https://keyswap.example/").unwrap().as_str(),
            format!("https://keyswap.example{CALLBACK}")
        );
        assert!(at("http://127.0.0.1:7070").is_ok() && at("http://localhost:7070").is_ok());
        for url in [
            "",
            "keyswap.example",
            "http://keyswap.example",
            "https://a:b@keyswap.example",
            "https://a/b",
            "ftp://a",
        ] {
            assert!(at(url).is_err(), "{url}");
        }
        assert_eq!(settings().scope(), "openid email");
        let signed_out = settings().signed_out_uri().unwrap();
        assert_eq!(signed_out.as_str(), "https://keyswap.example/admin/sign-in");
    }

    #[test]
    fn other_rules_are_other_settings() {
        let other = OidcSettings { roles: b"roles: []".to_vec(), ..settings() };
        assert_ne!(settings().digest(), other.digest());
        let moved = OidcSettings {
            issuer: "https://id.example/realms/akey".to_owned(),
            client_id: "swap".to_owned(),
            ..settings()
        };
        assert_ne!(settings().digest(), moved.digest());
    }

    #[test]
    fn what_is_wrong_is_told_in_the_words_of_the_command_line() {
        let wrong = OidcSettings { issuer: "http://id.example".to_owned(), ..settings() };
        assert!(format!("{:#}", wrong.issuer().unwrap_err()).contains("invalid `--oidc-issuer`"));
        let wrong = OidcSettings { roles: b"roles: [{role: admin}]".to_vec(), ..settings() };
        assert!(format!("{:#}", wrong.roles().unwrap_err()).starts_with("invalid `--oidc-roles`"));
    }
}
