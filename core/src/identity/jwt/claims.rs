//! The claims of a JWT, read strictly (RFC 7519 section 4.1). Names are compared whole and byte by byte.
//!
//! A date is a number of seconds that is not negative, with or without a fraction (RFC 7519 section 2). A fraction is rounded so that
//! the token is valid for less time, not for more.

use std::fmt;

use serde_json::{Map, Value};

use super::jws::MAX_DEPTH;
use crate::base::{Digest, UnixTime};
use crate::identity::{CONFIRMATION, bound_certificate};
use crate::syntax::{glob, json};

/// The latest date that is accepted, 9999-12-31T23:59:59Z. A later date is a mistake or an attempt at an overflow.
const LATEST: f64 = 253_402_300_799.0;

/// The claims of a token, read strictly, not yet judged.
pub(crate) struct Claims(Map<String, Value>);

/// Claims whose signature was verified. Only [`super::UnverifiedJwt::verify`] makes them.
pub struct VerifiedClaims(pub(super) Claims);

/// A value that a claim may be required to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimValue {
    /// A string, equal to this one.
    Text(String),
    /// A string that this glob has, in which `*` is any text.
    Glob(String),
    /// A truth value, as in `email_verified`.
    Flag(bool),
}

/// The dates of a token, which say when it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dates {
    pub(super) not_before: Option<UnixTime>,
    pub(super) issued_at: Option<UnixTime>,
    pub(super) expires_at: UnixTime,
}

/// A claim for which a token is refused. The error holds no value of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimsError<'p> {
    /// The payload is not one strict JSON object.
    Form,
    /// `iss` is missing, or names another issuer.
    Issuer,
    /// The audience is missing, malformed, or none of the policy's.
    Audience,
    /// The token is bound to a key in a way that cannot be checked here (RFC 7800).
    Confirmation,
    /// A claim that the policy requires is missing or has another value.
    Required(&'p str),
    /// `exp` is missing, or a date is malformed.
    Date(&'static str),
    /// `nbf` is in the future.
    NotYetValid,
    /// `iat` is in the future.
    IssuedInFuture,
    /// `exp` has passed.
    Expired,
}

impl std::error::Error for ClaimsError<'_> {}

impl fmt::Display for ClaimsError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("the payload is not one strict JSON object"),
            Self::Issuer => f.write_str("the token is not of the issuer"),
            Self::Audience => f.write_str("the token is for none of the `audiences`"),
            Self::Confirmation => {
                f.write_str("`cnf` binds the token to a key in a way that cannot be checked here")
            }
            Self::Required(name) => write!(f, "the claim `{name}` has none of the required values"),
            Self::Date(name) => write!(f, "`{name}` is not a date in seconds since 1970"),
            Self::NotYetValid => f.write_str("`nbf` is in the future"),
            Self::IssuedInFuture => f.write_str("`iat` is in the future"),
            Self::Expired => f.write_str("`exp` has passed"),
        }
    }
}

impl Claims {
    /// Makes claims of texts, each with its name.
    pub(crate) fn of_texts<'t>(texts: impl Iterator<Item = (&'t str, &'t str)>) -> Self {
        Self(texts.map(|(name, text)| (name.to_owned(), text.into())).collect())
    }

    /// Returns the SHA-256 of the certificate that the token is bound to; `None` for a token that is not bound.
    pub(super) fn certificate(&self) -> Result<Option<Digest>, ClaimsError<'static>> {
        let confirmation = self.0.get(CONFIRMATION);
        confirmation.map(|it| bound_certificate(it).ok_or(ClaimsError::Confirmation)).transpose()
    }

    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        match json::parse_within(MAX_DEPTH, payload) {
            Ok(Value::Object(members)) => Some(Self(members)),
            _ => None,
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns a claim by its name; one within others by its JSON pointer (RFC 6901), which begins with a slash.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        if !name.starts_with('/') {
            return self.0.get(name);
        }
        // Members only: an item of a list is named by no policy, for its place means nothing.
        let mut parts = name.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
        let first = self.0.get(&parts.next()?)?;
        parts.try_fold(first, |value, part| value.as_object()?.get(&part))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Returns the place of the first condition that the claims do not meet.
    pub(super) fn first_missing(&self, conditions: &[(String, Vec<ClaimValue>)]) -> Option<usize> {
        conditions.iter().position(|(name, allowed)| {
            !self.get(name).is_some_and(|value| says_one_of(name, value, allowed))
        })
    }

    pub(super) fn dates(&self) -> Result<Dates, ClaimsError<'static>> {
        let expires_at = self.date("exp", f64::floor)?.ok_or(ClaimsError::Date("exp"))?;
        let [not_before, issued_at] = ["nbf", "iat"].map(|name| self.date(name, f64::ceil));
        Ok(Dates { not_before: not_before?, issued_at: issued_at?, expires_at })
    }

    fn date(
        &self,
        name: &'static str,
        round: fn(f64) -> f64,
    ) -> Result<Option<UnixTime>, ClaimsError<'static>> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_f64().filter(|seconds| (0.0..=LATEST).contains(seconds));
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and in the range")]
        let seconds = seconds.map(|seconds| UnixTime(round(seconds) as i64));
        seconds.map(Some).ok_or(ClaimsError::Date(name))
    }
}

/// Returns the strings of a list; `None` where it holds anything else.
pub(super) fn texts(items: &[Value]) -> Option<impl Iterator<Item = &str>> {
    items.iter().all(Value::is_string).then(|| items.iter().filter_map(Value::as_str))
}

/// The claims whose text is a list of words, with a space between two (RFC 8693 section 4.2, and Microsoft Entra ID).
const WORD_LISTS: [&str; 2] = ["scope", "scp"];

/// Returns whether a claim has one of the values.
fn says_one_of(name: &str, value: &Value, allowed: &[ClaimValue]) -> bool {
    let is_allowed = |text: &str| {
        allowed.iter().any(|value| match value {
            ClaimValue::Text(it) => it == text,
            ClaimValue::Glob(glob) => glob::fits(glob.as_bytes(), text.as_bytes(), u8::eq),
            ClaimValue::Flag(_) => false,
        })
    };
    match value {
        Value::String(text) if WORD_LISTS.contains(&name) => {
            is_allowed(text) || text.split(' ').any(is_allowed)
        }
        Value::String(text) => is_allowed(text),
        Value::Bool(flag) => allowed.contains(&ClaimValue::Flag(*flag)),
        Value::Array(items) => texts(items).is_some_and(|mut texts| texts.any(is_allowed)),
        _ => false,
    }
}
