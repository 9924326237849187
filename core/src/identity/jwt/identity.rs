//! The identity that a verified token states.
//!
//! An identity is what a token says of its subject, no more. The policy and the registry decide whether the subject is
//! known, and which providers it may call.

use std::fmt;

use serde_json::Value;

use super::claims::{Claims, Dates, VerifiedClaims};
use super::rule::{Chosen, MAX_LABEL_CHARS};
use crate::base::{Digest, UnixTime};
use crate::identity::{CallerKind, CallerRecord, Models, Scope, TokenStatus, person_digest};
use crate::syntax::{is_email, moves_text};

/// The claim with the address, unless the policy names another.
pub(crate) const EMAIL: &str = "email";

/// Proof that a token was signed by an issuer of the policy, and that its claims hold. Only [`super::Issuer::verify`] makes one, and
/// [`VerifiedIdentity::of_certificate`] for the subject of a certificate that the host has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedIdentity {
    issuer: String,
    /// The tenant of the subject, where the issuer has several: only together do both tell one subject from another.
    tenant: Option<String>,
    subject: String,
    email: Option<Email>,
    is_service: bool,
    dates: Dates,
    chosen: Chosen,
    /// The SHA-256 of the client certificate that the token is bound to.
    certificate: Option<Digest>,
}

/// The address in a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Email {
    /// The address, trimmed and in lower case.
    pub(crate) address: String,
    /// The digest that identifies the person of this address.
    pub(crate) digest: Digest,
    /// The session of the token, where the registry issued it. The registry tells which sessions have ended.
    pub(crate) session: Option<String>,
    /// Set where the issuer vouches that the address is the subject's.
    is_verified: bool,
}

impl Email {
    fn new(address: String, is_verified: bool) -> Self {
        Self { digest: person_digest(&address), address, session: None, is_verified }
    }
}

/// An error of valid claims that name no acceptable subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// `sub` is missing, empty or not on one line.
    Subject,
    /// The claim with the address is missing where it is required, or is not an address.
    Email,
    /// The token is of a service that the policy does not name, or claims to be a person's, too.
    Service,
    /// `sid` is missing, empty or not on one line.
    Session,
}

impl std::error::Error for IdentityError {}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subject => "`sub` is missing, empty or not on one line",
            Self::Email => "the claim with the email address is missing or no address",
            Self::Service => "the policy names no service token with this `common_name`",
            Self::Session => "`sid` is missing, empty or not on one line",
        })
    }
}

/// The way in which an issuer names the subjects of its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subjects {
    /// Subjects by `sub`, with an address where the issuer vouches for it.
    OpenId {
        /// The claim with the address, by name or JSON pointer. `email_verified` is of `email` alone.
        email: String,
        /// Takes the address also from a token without `email_verified`. A token that says `false` is not concerned.
        takes_unmarked_email: bool,
    },
    /// People by `sub` and `email`; services by `common_name`, those that the policy names.
    CloudflareAccess { service_tokens: Vec<String> },
    /// People of the registry by `sub` and `email`, in a session by `sid`.
    Registry,
}

impl VerifiedIdentity {
    pub(super) fn new(
        (issuer, tenant): (&str, Option<&str>),
        subjects: &Subjects,
        VerifiedClaims(claims): &VerifiedClaims,
        dates: Dates,
        chosen: Chosen,
    ) -> Result<Self, IdentityError> {
        let identity = |subject: &str, email, is_service| Self {
            issuer: issuer.to_owned(),
            tenant: tenant.map(str::to_owned),
            subject: subject.to_owned(),
            email,
            is_service,
            dates,
            chosen,
            certificate: None,
        };
        match subjects {
            Subjects::CloudflareAccess { service_tokens } if claims.has("common_name") => {
                Ok(identity(service(claims, service_tokens)?, None, true))
            }
            Subjects::CloudflareAccess { .. } => {
                // The issuer itself has sent a code to the address, or has it from the team's identity provider.
                let address = email(claims, EMAIL)?.ok_or(IdentityError::Email)?;
                Ok(identity(subject(claims)?, Some(Email::new(address, true)), false))
            }
            Subjects::Registry => {
                let address = email(claims, EMAIL)?.ok_or(IdentityError::Email)?;
                let session =
                    claims.text("sid").filter(|text| is_name(text)).ok_or(IdentityError::Session)?;
                let email = Email { session: Some(session.to_owned()), ..Email::new(address, true) };
                Ok(identity(subject(claims)?, Some(email), false))
            }
            Subjects::OpenId { email: name, takes_unmarked_email } => {
                let marked = claims.get("email_verified").filter(|_| name == EMAIL);
                let is_verified = marked.map_or(*takes_unmarked_email, says_true);
                // An address that names nobody need not be one.
                let address = email(claims, name);
                let address = if is_verified { address? } else { address.unwrap_or_default() };
                let email = address.map(|address| Email::new(address, is_verified));
                Ok(identity(subject(claims)?, email, false))
            }
        }
    }

    /// Returns the identity of a certificate's subject. No date is in it: the host judges those of certificates.
    pub(crate) fn of_certificate(authority: &str, subject: String, chosen: Chosen) -> Self {
        Self {
            issuer: authority.to_owned(),
            tenant: None,
            subject,
            email: None,
            is_service: true,
            dates: Dates { not_before: None, issued_at: None, expires_at: UnixTime(i64::MAX) },
            chosen,
            certificate: None,
        }
    }

    /// Returns the identity, bound to a client certificate where there is one.
    pub(super) fn bound_to(self, certificate: Option<Digest>) -> Self {
        Self { certificate, ..self }
    }

    /// Returns whether the token is bound to a client certificate.
    pub(super) fn is_bound(&self) -> bool {
        self.certificate.is_some()
    }

    /// Returns the policy's name for the issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the issuer's name for the subject; of a service token the `common_name`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the email address, trimmed and in lower case; `None` where the issuer vouches for none.
    pub fn email(&self) -> Option<&str> {
        self.verified_email().map(|email| email.address.as_str())
    }

    /// Returns the address that the issuer vouches for.
    pub(crate) fn verified_email(&self) -> Option<&Email> {
        self.email.as_ref().filter(|email| email.is_verified)
    }

    /// Returns the address in the token, verified or not. An unverified address gives no rights.
    pub(crate) fn claimed_email(&self) -> Option<&Email> {
        self.email.as_ref()
    }

    /// Returns whether this is a service that the policy names, not a person.
    pub fn is_service(&self) -> bool {
        self.is_service
    }

    /// Returns `exp`.
    pub fn expires_at(&self) -> UnixTime {
        self.dates.expires_at
    }

    /// Returns the dates between which the token is valid.
    pub(super) fn dates(&self) -> Dates {
        self.dates
    }

    /// Returns the rule of the issuer that fits.
    pub(crate) fn chosen(&self) -> &Chosen {
        &self.chosen
    }

    /// Returns the identity as a record with this scope.
    ///
    /// The digest of the record is that of issuer, tenant and subject, so that id and limits stay with the principal. The
    /// record has no expiry, because the claims were judged.
    pub fn record(&self, scope: Scope) -> CallerRecord {
        let name = self.chosen.label.as_deref().or(self.email()).unwrap_or(&self.subject);
        // None of the parts has such a separator.
        let parts = [Some(self.issuer.as_str()), self.tenant.as_deref(), Some(&self.subject)];
        let digest = Digest::of(parts.into_iter().flatten().collect::<Vec<_>>().join("\0").as_bytes());
        CallerRecord {
            kind: CallerKind::Person,
            digest,
            holder: digest,
            label: name.chars().take(MAX_LABEL_CHARS).collect(),
            owner: self.email().map(str::to_owned),
            team: self.chosen.team.clone(),
            status: TokenStatus::Active,
            scope,
            models: Models::all(),
            expires_at: None,
            rate_limit: None,
            ended_sessions: Vec::new(),
            certificate: self.certificate,
            budget: None,
        }
    }
}

/// Returns whether a claim is true. Apple and others send the word (`"true"`).
fn says_true(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value == "true")
}

fn subject(claims: &Claims) -> Result<&str, IdentityError> {
    claims.text("sub").filter(|text| is_name(text)).ok_or(IdentityError::Subject)
}

/// Reads the address in a claim. Only ASCII is put in lower case: a Kelvin sign is no `k`, and no letter turns one address into
/// another.
fn email(claims: &Claims, name: &str) -> Result<Option<String>, IdentityError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
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
