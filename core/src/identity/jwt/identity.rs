//! The identity that a verified token states.
//!
//! An identity is what a token says of its subject, no more. Whether that subject is known, and what it may do, is
//! decided elsewhere.

use std::fmt;

use serde_json::Value;

use super::claims::{Claims, Dates, VerifiedClaims};
use crate::base::{Digest, UnixTime};
use crate::identity::{CallerRecord, TokenStatus};
use crate::syntax::{is_email, moves_text};

/// As long as the label of a token may be.
const MAX_LABEL_CHARS: usize = 64;

/// Proof that a token was signed by an issuer of the policy, and that its claims hold. Only [`super::Issuer::verify`]
/// makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedIdentity {
    issuer: String,
    subject: String,
    email: Option<String>,
    is_service: bool,
    dates: Dates,
}

/// Why claims that hold name nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// `sub` is missing, empty or not on one line.
    Subject,
    /// `email` is missing where there must be one, or is no address.
    Email,
    /// The token of a service that the policy does not name, or one that says it is a person's, too.
    Service,
}

impl std::error::Error for IdentityError {}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subject => "`sub` is missing, empty or not on one line",
            Self::Email => "`email` is missing or no address",
            Self::Service => "the policy names no service token with this `common_name`",
        })
    }
}

/// How an issuer names the subjects of its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subjects {
    /// By `sub`, with `email` where the issuer vouches for it.
    OpenId,
    /// People by `sub` and `email`; services by `common_name`, those that the policy names.
    CloudflareAccess { service_tokens: Vec<String> },
}

impl VerifiedIdentity {
    pub(super) fn new(
        issuer: &str,
        subjects: &Subjects,
        VerifiedClaims(claims): &VerifiedClaims,
        dates: Dates,
    ) -> Result<Self, IdentityError> {
        let identity = |subject: &str, email, is_service| Self {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            email,
            is_service,
            dates,
        };
        match subjects {
            Subjects::CloudflareAccess { service_tokens } if claims.has("common_name") => {
                Ok(identity(service(claims, service_tokens)?, None, true))
            }
            Subjects::CloudflareAccess { .. } => {
                let email = email(claims)?.ok_or(IdentityError::Email)?;
                Ok(identity(subject(claims)?, Some(email), false))
            }
            Subjects::OpenId => {
                let vouched = claims.get("email_verified").is_none_or(|value| *value == Value::Bool(true));
                let email = if vouched { email(claims)? } else { None };
                Ok(identity(subject(claims)?, email, false))
            }
        }
    }

    /// The policy's name for the issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The issuer's name for the subject; of a service token the `common_name`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The email address, trimmed and in lower case, where the issuer vouches for one.
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    /// Returns whether this is a service that the policy names, not a person.
    pub fn is_service(&self) -> bool {
        self.is_service
    }

    /// `exp`.
    pub fn expires_at(&self) -> UnixTime {
        self.dates.expires_at
    }

    /// When its token holds.
    pub(super) fn dates(&self) -> Dates {
        self.dates
    }

    /// The identity as a record with this scope. Its digest stands for issuer and subject, not for one token, so that id
    /// and limits stay with the principal. It has no expiry of its own: the claims were judged.
    pub fn record(&self, providers: Vec<String>) -> CallerRecord {
        let name = self.email().unwrap_or(&self.subject);
        // A name of the policy has no such separator.
        let principal = [self.issuer.as_bytes(), b"\0", self.subject.as_bytes()].concat();
        CallerRecord {
            digest: Digest::of(&principal),
            label: name.chars().take(MAX_LABEL_CHARS).collect(),
            owner: self.email.clone(),
            status: TokenStatus::Active,
            providers,
            models: CallerRecord::all_models(),
            expires_at: None,
            rate_limit: None,
        }
    }
}

fn subject(claims: &Claims) -> Result<&str, IdentityError> {
    claims.text("sub").filter(|text| is_name(text)).ok_or(IdentityError::Subject)
}

/// Only ASCII is put in lower case: a Kelvin sign is no `k`, and nobody becomes somebody else by a letter.
fn email(claims: &Claims) -> Result<Option<String>, IdentityError> {
    let Some(value) = claims.get("email") else { return Ok(None) };
    let email = value.as_str().map(|text| text.trim().to_ascii_lowercase());
    email.filter(|text| is_email(text)).map(Some).ok_or(IdentityError::Email)
}

fn service<'c>(claims: &'c Claims, service_tokens: &[String]) -> Result<&'c str, IdentityError> {
    let is_nobodys = claims.get("sub").is_none_or(|value| value == "") && !claims.has("email");
    let is_named = |name: &&str| service_tokens.iter().any(|allowed| allowed == name);
    claims.text("common_name").filter(is_named).filter(|_| is_nobodys).ok_or(IdentityError::Service)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(moves_text)
}
