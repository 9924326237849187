//! An `OpenID` provider: the way of a browser to it and back, the exchange of a code, and the judgement of the ID token.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keyswap_core::base::Digest;
use keyswap_core::identity::jwt::{Issuer, JwkSet, JwtError, PureRust, UnverifiedJwt, VerifiedIdentity};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde_json::Value;

use super::flow::Flow;
use super::metadata::Metadata;
use super::roles::Roles;
use super::settings::{ISSUER, OidcSettings};
use crate::http;
use crate::registry::{AdminRole, SecretText, now};
use crate::server::issuer_keys::Keys;
use crate::server::problem::Problem;

/// The time limit for the exchange of a code.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer of the token endpoint.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The characters that a form escapes (`application/x-www-form-urlencoded`), as the client's id and secret are (RFC 6749 section
/// 2.3.1).
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// Sign-in by an `OpenID` provider. Clones share the keys.
#[derive(Clone, Debug)]
pub struct Oidc(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    issuer: Issuer,
    keys: Keys,
    client: Client,
    client_id: String,
    client_secret: Option<SecretText>,
    redirect_uri: Url,
    signed_out_uri: Url,
    scope: String,
    roles: Roles,
    settings: Digest,
}

/// The parameters with which a browser comes back (RFC 6749 section 4.1.2, RFC 9207). None of them is shown or logged.
#[derive(Deserialize)]
pub(in crate::server) struct Returned {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
}

/// A person that the provider has signed in.
pub(in crate::server) struct SignedIn {
    /// The name in the audit log: the verified email address, or the subject.
    pub(in crate::server) name: String,
    pub(in crate::server) role: AdminRole,
}

impl Oidc {
    /// Returns sign-in with these settings, an error if they are invalid. The provider is asked on the first request.
    pub fn new(settings: OidcSettings) -> anyhow::Result<Self> {
        let issuer = settings.issuer()?;
        let keys = Keys::with_document(&issuer, "the OpenID provider", ISSUER)?;
        let client = http::client(settings.issuer.starts_with("https:"))
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("keyswap/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot use TLS")?;
        Ok(Self(Arc::new(Shared {
            keys,
            client,
            redirect_uri: settings.redirect_uri()?,
            signed_out_uri: settings.signed_out_uri()?,
            scope: settings.scope(),
            roles: settings.roles()?,
            settings: settings.digest(),
            client_id: settings.client_id,
            client_secret: settings.client_secret,
            issuer,
        })))
    }

    /// Returns the digest of the settings that give roles.
    pub(in crate::server) fn settings(&self) -> &Digest {
        &self.0.settings
    }

    /// Returns the provider's host, for people.
    pub(in crate::server) fn name(&self) -> &str {
        let url = self.0.issuer.url();
        let host = url.split_once("://").map_or(url, |(_, rest)| rest);
        host.split('/').next().unwrap_or(host)
    }

    /// Returns the problem of a browser that comes back without a sign-in that it began, or a second time.
    pub(in crate::server) fn not_begun() -> Problem {
        let detail = "the sign-in was not begun in this browser, or took too long: begin again";
        Problem::new(StatusCode::BAD_REQUEST, "sign_in_not_begun", detail)
    }

    /// Returns the problem of a person with a role that is a disabled user: a leaver whose account at the provider goes on.
    pub(in crate::server) fn disabled() -> Problem {
        let detail =
            "you are signed in at the provider, but your user is disabled here: ask an administrator";
        Problem::new(StatusCode::FORBIDDEN, "no_role", detail)
    }

    /// Returns the URL at which a browser signs in.
    pub(in crate::server) async fn authorization(&self, flow: &Flow) -> Result<Url, Problem> {
        let mut url = self.metadata().await?.authorization;
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.0.client_id),
            ("redirect_uri", self.0.redirect_uri.as_str()),
            ("scope", &self.0.scope),
            ("state", &flow.state()),
            ("nonce", &flow.nonce()),
            ("code_challenge", &flow.challenge()),
            ("code_challenge_method", "S256"),
        ]);
        Ok(url)
    }

    /// Returns the URL at which a browser signs out (RP-Initiated Logout 1.0 section 2), `None` if the provider has none or cannot be
    /// reached. It names this client and the address to come back to, and no person: an ID token does not belong into a URL.
    pub(in crate::server) async fn end_session(&self) -> Option<Url> {
        let mut url = self.metadata().await.ok()?.end_session?;
        url.query_pairs_mut().extend_pairs([
            ("client_id", self.0.client_id.as_str()),
            ("post_logout_redirect_uri", self.0.signed_out_uri.as_str()),
        ]);
        Some(url)
    }

    /// Checks that what came back is of this sign-in and of this provider. Returns the code. Nothing is asked.
    pub(in crate::server) async fn code(
        &self,
        flow: &Flow,
        returned: Returned,
    ) -> Result<SecretText, Problem> {
        let Returned { state, code, iss } = returned;
        if !state.is_some_and(|state| flow.has_state(&state)) {
            return Err(Self::not_begun());
        }
        let must_be_named = self.metadata().await?.names_itself;
        let is_named = iss.as_deref().map_or(!must_be_named, |iss| iss == self.0.issuer.url());
        // Another provider's answer must not be taken for this one's (RFC 9207 section 2.4).
        if !is_named {
            return Err(refused("the answer is of another provider"));
        }
        code.map(SecretText::new).ok_or_else(|| refused("the provider did not sign you in"))
    }

    /// Exchanges a code, and judges the ID token. Returns the person with its role.
    pub(in crate::server) async fn sign_in(
        &self,
        flow: &Flow,
        code: &SecretText,
    ) -> Result<SignedIn, Problem> {
        let metadata = self.metadata().await?;
        let token = self.exchange(&metadata, flow, code).await.map_err(|error| {
            tracing::warn!(error = format!("{error:#}"), "the OpenID provider does not exchange a code");
            refused("the provider did not confirm the sign-in")
        })?;
        let identity = self.verify(token.expose().as_bytes()).await?;
        let claims = claims(token.expose()).ok_or_else(invalid)?;
        if !is_for(&claims, &flow.nonce(), &self.0.client_id) {
            return Err(invalid());
        }
        let email = identity.email().filter(|email| email.is_ascii());
        let role = self.0.roles.of(&claims, email).ok_or_else(|| {
            let detail =
                "you are signed in at the provider, but no rule gives you a role here: see `--oidc-roles`";
            Problem::new(StatusCode::FORBIDDEN, "no_role", detail)
        })?;
        let name = email.map_or_else(|| format!("subject:{}", identity.subject()), str::to_owned);
        Ok(SignedIn { name, role })
    }

    async fn metadata(&self) -> Result<Metadata, Problem> {
        let document = self.0.keys.document().await.map_err(|_| unavailable())?;
        Metadata::read(&document, self.0.issuer.url()).map_err(|error| {
            tracing::warn!(error = format!("{error:#}"), "the discovery document cannot be used");
            unavailable()
        })
    }

    /// Exchanges a code for an ID token (RFC 6749 section 4.1.3).
    async fn exchange(
        &self,
        metadata: &Metadata,
        flow: &Flow,
        code: &SecretText,
    ) -> anyhow::Result<SecretText> {
        #[derive(Deserialize)]
        struct Answer {
            id_token: String,
        }

        let (shared, verifier) = (&self.0, flow.verifier());
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", shared.redirect_uri.as_str()),
            ("code_verifier", verifier.expose()),
        ];
        let mut request = shared.client.post(metadata.token.clone());
        match &shared.client_secret {
            Some(secret) if !metadata.takes_secret_in_body => {
                let escaped = |text: &str| utf8_percent_encode(text, FORM).to_string();
                request = request.basic_auth(escaped(&shared.client_id), Some(escaped(secret.expose())));
            }
            secret => {
                form.push(("client_id", &shared.client_id));
                form.extend(secret.as_ref().map(|secret| ("client_secret", secret.expose())));
            }
        }
        // The URL and the body have secrets, so neither is in an error.
        let sent = request.form(&form).send().await.map_err(reqwest::Error::without_url);
        let mut response = sent.context("no answer")?;
        ensure!(response.status() == StatusCode::OK, "the answer has the status {}", response.status());
        let mut answer = Vec::new();
        while let Some(part) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            ensure!(answer.len().saturating_add(part.len()) <= MAX_ANSWER_BYTES, "the answer is too long");
            answer.extend_from_slice(&part);
        }
        let answer: Answer = serde_json::from_slice(&answer).ok().context("the answer has no ID token")?;
        Ok(SecretText::new(answer.id_token))
    }

    /// Judges the ID token by the engine. A key that is not known leads to newer keys, once a cooldown.
    async fn verify(&self, token: &[u8]) -> Result<VerifiedIdentity, Problem> {
        // A token of another issuer or audience causes no fetch.
        self.parse(token).map_err(|fault| told(&fault))?;
        let keys = self.0.keys.current().await.map_err(|_| unavailable())?;
        match self.judge(token, &keys) {
            Err(fault) if fault.may_pass_with_newer_keys() => {
                match self.0.keys.newer(&keys).await.map_err(|_| unavailable())? {
                    Some(keys) => self.judge(token, &keys).map_err(|fault| told(&fault)),
                    None => Err(told(&fault)),
                }
            }
            judged => judged.map_err(|fault| told(&fault)),
        }
    }

    fn judge(&self, token: &[u8], keys: &JwkSet) -> Result<VerifiedIdentity, JwtError<'_>> {
        self.0.issuer.verify_unbound(self.parse(token)?, keys, &PureRust, now())
    }

    fn parse<'t>(&self, token: &'t [u8]) -> Result<UnverifiedJwt<'t>, JwtError<'_>> {
        let jwt = UnverifiedJwt::parse(token)?;
        Issuer::find(std::slice::from_ref(&self.0.issuer), &jwt, None)?;
        Ok(jwt)
    }
}

/// Returns the claims of a token that the engine has verified: its strict reader took the same bytes.
fn claims(token: &str) -> Option<Value> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Returns true if a token is of this sign-in and for this client (`OpenID` Connect Core 1.0 section 3.1.3.7, 3 to 5 and 11).
fn is_for(claims: &Value, nonce: &str, client_id: &str) -> bool {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let has_others = claims.get("aud").and_then(Value::as_array).is_some_and(|audiences| audiences.len() > 1);
    let is_authorized = match claims.get("azp") {
        Some(party) => party == client_id,
        None => !has_others,
    };
    text("nonce") == Some(nonce) && is_authorized
}

fn told(fault: &JwtError<'_>) -> Problem {
    tracing::debug!(%fault, "an ID token is refused");
    invalid()
}

fn invalid() -> Problem {
    refused("the ID token of the provider is not valid here")
}

fn refused(detail: &'static str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "sign_in_refused", detail)
}

fn unavailable() -> Problem {
    let detail = "the provider cannot be reached now";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", detail)
}
