//! New tokens and users, changes to them, and their validation.
//!
//! The engine validates labels, owners, providers and expiries: see [`super::policy_token`].

use keyswap_core::base::{Digest, UnixTime};
use serde::{Deserialize, Serialize};

use super::error::RegistryError;
use super::model::Status;
use super::policy_token::{Draft, Field, PolicyToken};
use super::rate_limit::RateLimit;
use super::secret_text::SecretText;

/// The bounds of a custom token: a token below the minimum can be guessed.
const MIN_TOKEN_CHARS: usize = 12;
/// Data planes look no longer text up.
const MAX_TOKEN_BYTES: usize = 4096;
/// The class of endpoints that mint credentials.
const MINT: &str = "mint";

const MAX_MODELS: usize = 64;
const MAX_MODEL_BYTES: usize = 128;

/// The source of a new token.
#[derive(Clone, Debug)]
pub enum Source {
    /// The registry generates the token.
    Mint,
    /// The caller supplies the token.
    Custom(SecretText),
    /// The caller supplies the token's digest, as in a policy.
    Digest(Digest),
}

/// A new token, before validation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewToken {
    /// The label.
    pub label: String,
    /// The email address of the owner.
    pub owner: Option<String>,
    /// The team. `None` or an empty text means no team.
    pub team: Option<String>,
    /// The scope: names of providers, and classes of their endpoints such as `openai:files`.
    pub providers: Vec<String>,
    /// The models that the token may use. An empty list permits all.
    pub models: Vec<String>,
    /// The expiry: a time with an offset (RFC 3339). `None` or an empty text means no expiry.
    pub expires_at: Option<String>,
    /// The rate limit.
    pub rate_limit: Option<RateLimit>,
    /// The SHA-256 of the client certificate that the token is bound to, as 64 hexadecimal digits. `None` or an empty text means that
    /// any connection may bring the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<String>,
}

/// A token that exists elsewhere, such as in a policy, identified by its digest.
#[derive(Clone, Debug)]
pub struct KnownToken {
    /// The SHA-256 of the token.
    pub digest: Digest,
    /// The record.
    pub new: NewToken,
    /// The status.
    pub status: Status,
}

/// A change of a token. `None` leaves a field unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TokenPatch {
    /// The version of the token that the change is based on. Another version is an error; `None` permits any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The email address of the owner. `Some(None)` or an empty text removes the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Option<String>>,
    /// The scope, in place of the present one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub providers: Option<Vec<String>>,
    /// The models that the token may use, in place of the present ones. An empty list permits all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// The team. `Some(None)` or an empty text removes the token from its team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<Option<String>>,
    /// The status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The expiry: a time with an offset (RFC 3339). `Some(None)` removes the expiry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Option<String>>,
    /// The rate limit. `Some(None)` removes the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Option<RateLimit>>,
}

/// A new user, before validation.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewUser {
    /// The email address.
    pub email: String,
    /// The user's label.
    pub label: Option<String>,
    /// The user's team. `None` or an empty text means no team.
    pub team: Option<String>,
    /// The user's scope: names of providers, and classes of their endpoints, such as `openai:files`.
    pub providers: Vec<String>,
    /// The models that the user may use. An empty list permits all.
    pub models: Vec<String>,
    /// The rate limit.
    #[schema(value_type = Option<super::rate_limit::Text>)]
    pub rate_limit: Option<RateLimit>,
}

/// A change of a user. `None` leaves a field unchanged.
#[derive(Clone, Debug, Default)]
pub struct UserPatch {
    /// The version of the user that the change is based on. Another version is an error; `None` permits any.
    pub version: Option<i64>,
    /// The label. An empty text removes the label.
    pub label: Option<String>,
    /// The team. `Some(None)` or an empty text removes the user from its team.
    pub team: Option<Option<String>>,
    /// The scope of the user, in place of the present one.
    pub providers: Option<Vec<String>>,
    /// The models that the user may use, in place of the present ones.
    pub models: Option<Vec<String>>,
    /// The user's status.
    pub status: Option<Status>,
    /// The rate limit. `Some(None)` removes the limit.
    pub rate_limit: Option<Option<RateLimit>>,
}

/// A new token, after validation.
#[derive(Debug)]
pub(in crate::registry) struct ValidToken {
    pub(in crate::registry) label: String,
    pub(in crate::registry) owner: Option<String>,
    pub(in crate::registry) team: Option<String>,
    pub(in crate::registry) providers: Vec<String>,
    pub(in crate::registry) models: Vec<String>,
    pub(in crate::registry) expires_at: Option<UnixTime>,
    pub(in crate::registry) rate_limit: Option<RateLimit>,
    pub(in crate::registry) certificate: Option<Digest>,
}

impl Source {
    /// Returns the token, its digest and its last four characters. For a digest alone the token is `None` and the text
    /// is empty.
    pub(in crate::registry) fn take(self) -> Result<(Option<SecretText>, Digest, String), RegistryError> {
        let token = match self {
            Self::Mint => SecretText::mint()?,
            Self::Custom(token) => token,
            Self::Digest(digest) => return Ok((None, digest, String::new())),
        };
        let text = token.expose();
        if text.chars().count() < MIN_TOKEN_CHARS {
            return Err(RegistryError::TokenTooShort);
        }
        // Other characters cannot be sent in every auth slot.
        if text.len() > MAX_TOKEN_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(RegistryError::Invalid {
                field: "token",
                expected: format!(
                    "expected at most {MAX_TOKEN_BYTES} visible ASCII characters without spaces"
                ),
            });
        }
        let last4 = text.get(text.len() - 4..).unwrap_or_default().to_owned();
        let digest = Digest::of(text.as_bytes());
        Ok((Some(token), digest, last4))
    }
}

impl NewToken {
    /// Checks that the token is acceptable for a registry.
    pub fn validate(&self) -> Result<(), RegistryError> {
        self.clone().check().map(drop)
    }

    /// Returns the token as a registry keeps it: without spaces around names, with times in UTC, and `*` for no models.
    pub fn normal(self) -> Result<Self, RegistryError> {
        let valid = self.check()?;
        Ok(Self {
            label: valid.label,
            owner: valid.owner,
            team: valid.team,
            providers: valid.providers,
            models: valid.models,
            expires_at: valid.expires_at.map(|at| at.to_string()),
            rate_limit: valid.rate_limit,
            certificate_sha256: valid.certificate.map(|digest| digest.to_hex()),
        })
    }

    pub(in crate::registry) fn check(self) -> Result<ValidToken, RegistryError> {
        let record = check(Draft {
            label: self.label,
            owner: self.owner.filter(|owner| !owner.trim().is_empty()),
            team: self.team.filter(|team| !team.trim().is_empty()),
            providers: self.providers,
            expires_at: self.expires_at.filter(|at| !at.is_empty()),
            certificate: None,
        })?;
        Ok(ValidToken {
            label: record.label,
            owner: record.owner,
            team: record.team,
            providers: record.providers,
            models: check_models(self.models)?,
            expires_at: record.expires_at.as_deref().and_then(UnixTime::from_rfc3339),
            rate_limit: self.rate_limit,
            certificate: check_certificate(self.certificate_sha256.as_deref())?,
        })
    }
}

impl NewUser {
    /// Validates the user. Returns it in normal form: the address in lower case, `*` for no models.
    pub(in crate::registry) fn check(self) -> Result<Self, RegistryError> {
        let label = self.label.filter(|label| !label.trim().is_empty());
        if self.providers.iter().any(|entry| entry.split(':').nth(1) == Some(MINT)) {
            // As in a policy: a brokered token is valid as long as the token of its caller is.
            let expected = "`mint` is for proxy tokens only".to_owned();
            return Err(RegistryError::Invalid { field: "provider", expected });
        }
        let record = check(Draft {
            label: label.clone().unwrap_or_else(|| "user".to_owned()),
            owner: Some(self.email.to_lowercase()),
            team: self.team.filter(|team| !team.trim().is_empty()),
            providers: self.providers,
            expires_at: None,
            certificate: None,
        })?;
        Ok(Self {
            email: record.owner.unwrap_or_default(),
            label: label.map(|_| record.label),
            team: record.team,
            providers: record.providers,
            models: check_models(self.models)?,
            rate_limit: self.rate_limit,
        })
    }
}

/// Returns an email address as it is compared: in lower case, without spaces around it.
pub(in crate::registry) fn normal(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Validates a team's name. Returns `None` for no team or an empty text.
pub(in crate::registry) fn check_team(text: Option<&str>) -> Result<Option<String>, RegistryError> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let check = |team: &str| {
        let providers = vec!["openai".to_owned()];
        // The checked field does not depend on the others.
        let draft = Draft {
            label: "token".to_owned(),
            owner: None,
            team: Some(team.to_owned()),
            providers,
            expires_at: None,
            certificate: None,
        };
        check(draft).map(|record| record.team)
    };
    text.map(check).transpose().map(Option::flatten)
}

/// Parses the SHA-256 of a certificate, as tools print it: with colons or without, in either case. Returns `None` for no certificate or
/// an empty text.
fn check_certificate(text: Option<&str>) -> Result<Option<Digest>, RegistryError> {
    let text = text.map(|text| text.trim().replace(':', "").to_ascii_lowercase());
    let invalid = || RegistryError::Invalid {
        field: "certificate",
        expected: "expected its SHA-256, 64 hexadecimal digits".to_owned(),
    };
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| Digest::from_hex(&text).ok_or_else(invalid)).transpose()
}

/// Parses a time with an offset (RFC 3339). Returns `None` for no expiry or an empty text.
pub(in crate::registry) fn check_expiry(text: Option<&str>) -> Result<Option<UnixTime>, RegistryError> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| UnixTime::from_rfc3339(text).ok_or(RegistryError::InvalidExpiry)).transpose()
}

fn check(draft: Draft) -> Result<PolicyToken, RegistryError> {
    // The checked fields do not depend on the digest.
    PolicyToken::new(Digest::of(b""), draft).map_err(|errors| {
        let Some(error) = errors.first() else { return RegistryError::Corrupt("draft") };
        let invalid = |field| RegistryError::Invalid { field, expected: error.message.clone() };
        match error.field {
            Field::NoLabel => RegistryError::LabelRequired,
            Field::NoProviders => RegistryError::ProvidersRequired,
            Field::ExpiresAt => RegistryError::InvalidExpiry,
            Field::Label => invalid("label"),
            Field::Owner => invalid("email address"),
            Field::Team => invalid("team"),
            Field::Provider(_) | Field::Other(_) | Field::Elsewhere => invalid("provider"),
        }
    })
}

fn check_models(models: Vec<String>) -> Result<Vec<String>, RegistryError> {
    let mut checked: Vec<String> = Vec::new();
    for model in models {
        let model = model.trim().to_owned();
        let fits =
            (1..=MAX_MODEL_BYTES).contains(&model.len()) && model.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits || checked.len() == MAX_MODELS {
            return Err(RegistryError::Invalid {
                field: "models",
                expected: format!(
                    "expected at most {MAX_MODELS} names of 1 to {MAX_MODEL_BYTES} visible ASCII characters"
                ),
            });
        }
        if !checked.contains(&model) {
            checked.push(model);
        }
    }
    let invalid = |expected: &str| RegistryError::Invalid { field: "models", expected: expected.to_owned() };
    if checked.iter().any(|model| model == "!" || model.starts_with("!!")) {
        return Err(invalid("expected a name behind one `!`"));
    }
    if checked.is_empty() {
        checked.push("*".to_owned());
    } else if checked.iter().all(|model| model.starts_with('!')) {
        // As in a policy: left out, a list is all models, so this one could be meant for all but these.
        return Err(invalid(
            "every entry takes models away, so none is left: add `*` or the models that are allowed",
        ));
    }
    Ok(checked)
}
