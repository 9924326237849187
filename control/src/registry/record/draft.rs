//! Requests to put something into the registry, and the rules for it.
//!
//! What makes a label, an owner, a provider and an expiry is the engine's to say: see [`super::policy_token`].

use keyswap_core::base::{Digest, UnixTime};
use serde::{Deserialize, Serialize};

use super::error::RegistryError;
use super::model::Status;
use super::policy_token::{Draft, Field, PolicyToken};
use super::rate_limit::RateLimit;
use super::secret_text::SecretText;

/// The fewest characters of a custom token, and the most bytes of one.
const MIN_TOKEN_CHARS: usize = 12;
const MAX_TOKEN_BYTES: usize = 8 * 1024;

const MAX_MODELS: usize = 64;
const MAX_MODEL_BYTES: usize = 128;

/// The source of a new token.
#[derive(Clone, Debug)]
pub enum Source {
    /// It is made here.
    Mint,
    /// It is this one.
    Custom(SecretText),
    /// It is known by its digest only, as in a policy.
    Digest(Digest),
}

/// A new token, as it is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewToken {
    /// Its label.
    pub label: String,
    /// The email address of who answers for it.
    pub owner: Option<String>,
    /// The names of the providers it is for.
    pub providers: Vec<String>,
    /// The models it is for; all unless some are named.
    pub models: Vec<String>,
    /// The expiry: a time with an offset. Absent or empty is never.
    pub expires_at: Option<String>,
    /// The rate limit.
    pub rate_limit: Option<RateLimit>,
}

/// A token that exists elsewhere, such as in a policy, and is known by its digest.
#[derive(Clone, Debug)]
pub struct KnownToken {
    /// Its SHA-256.
    pub digest: Digest,
    /// Its record.
    pub new: NewToken,
    /// Its status.
    pub status: Status,
}

/// A change of a token: what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct TokenPatch {
    /// Its status.
    pub status: Option<Status>,
    /// The expiry: a time with an offset; `Some(None)` is never.
    pub expires_at: Option<Option<String>>,
    /// The rate limit; `Some(None)` takes it away.
    pub rate_limit: Option<Option<RateLimit>>,
}

/// A new user, as it is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewUser {
    /// The address.
    pub email: String,
    /// The user's label.
    pub label: Option<String>,
    /// The names of the providers that the user may call.
    pub providers: Vec<String>,
    /// The models that the user may call; all unless some are named.
    pub models: Vec<String>,
    /// The rate limit.
    pub rate_limit: Option<RateLimit>,
}

/// A change of a user: what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct UserPatch {
    /// The label; an empty one takes it away.
    pub label: Option<String>,
    /// All providers that the user may call from now on.
    pub providers: Option<Vec<String>>,
    /// All models that the user may call from now on.
    pub models: Option<Vec<String>>,
    /// The user's status.
    pub status: Option<Status>,
    /// The rate limit; `Some(None)` takes it away.
    pub rate_limit: Option<Option<RateLimit>>,
}

/// A new token that may be put into the registry.
#[derive(Debug)]
pub(in crate::registry) struct ValidToken {
    pub(in crate::registry) label: String,
    pub(in crate::registry) owner: Option<String>,
    pub(in crate::registry) providers: Vec<String>,
    pub(in crate::registry) models: Vec<String>,
    pub(in crate::registry) expires_at: Option<UnixTime>,
    pub(in crate::registry) rate_limit: Option<RateLimit>,
}

impl Source {
    /// Returns the token where it is known, its digest and its last four characters.
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
        // Anything else could not be sent in every slot.
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
    /// Checks that it may be put into the registry.
    pub fn validate(&self) -> Result<(), RegistryError> {
        self.clone().check().map(drop)
    }

    pub(in crate::registry) fn check(self) -> Result<ValidToken, RegistryError> {
        let record = check(Draft {
            label: self.label,
            owner: self.owner.filter(|owner| !owner.trim().is_empty()),
            providers: self.providers,
            expires_at: self.expires_at.filter(|at| !at.is_empty()),
        })?;
        Ok(ValidToken {
            label: record.label,
            owner: record.owner,
            providers: record.providers,
            models: check_models(self.models)?,
            expires_at: record.expires_at.as_deref().and_then(UnixTime::from_rfc3339),
            rate_limit: self.rate_limit,
        })
    }
}

impl NewUser {
    /// Returns the user with the address in lower case and everything else as it will be kept.
    pub(in crate::registry) fn check(self) -> Result<Self, RegistryError> {
        let label = self.label.filter(|label| !label.trim().is_empty());
        let record = check(Draft {
            label: label.clone().unwrap_or_else(|| "user".to_owned()),
            owner: Some(self.email.to_lowercase()),
            providers: self.providers,
            expires_at: None,
        })?;
        Ok(Self {
            email: record.owner.unwrap_or_default(),
            label: label.map(|_| record.label),
            providers: record.providers,
            models: check_models(self.models)?,
            rate_limit: self.rate_limit,
        })
    }
}

/// Reads a time with an offset; empty is never.
pub(in crate::registry) fn check_expiry(text: Option<&str>) -> Result<Option<UnixTime>, RegistryError> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| UnixTime::from_rfc3339(text).ok_or(RegistryError::InvalidExpiry)).transpose()
}

fn check(draft: Draft) -> Result<PolicyToken, RegistryError> {
    // What the digest is does not matter to what is checked here.
    PolicyToken::new(Digest::of(b""), draft).map_err(|errors| {
        let Some(error) = errors.first() else { return RegistryError::Corrupt("draft") };
        let invalid = |field| RegistryError::Invalid { field, expected: error.message.clone() };
        match error.field {
            Field::NoLabel => RegistryError::LabelRequired,
            Field::NoProviders => RegistryError::ProvidersRequired,
            Field::ExpiresAt => RegistryError::InvalidExpiry,
            Field::Label => invalid("label"),
            Field::Owner => invalid("email address"),
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
    if checked.is_empty() {
        checked.push("*".to_owned());
    }
    Ok(checked)
}
