//! The claims of a JWT, judged (RFC 7519 section 4.1). One validator for every host and every issuer.
//!
//! `iss`, `aud` and `exp` are required; `nbf` and `iat` must hold where they are present. Names are compared whole and
//! byte by byte.
//!
//! A date is a number of seconds that is not negative, with or without a fraction (RFC 7519 section 2). A fraction is rounded so that
//! the token is valid for less time, not for more.
//!
//! The order of the checks lets only a token that is otherwise valid learn that it has expired.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::jws::MAX_DEPTH;
use crate::base::UnixTime;
use crate::syntax::{glob, json};

/// The latest date that is accepted, 9999-12-31T23:59:59Z. A later date is a mistake or an attempt at an overflow.
const LATEST: f64 = 253_402_300_799.0;

/// The claims of a token, read strictly, not yet judged.
pub(super) struct Claims(Map<String, Value>);

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
    not_before: Option<UnixTime>,
    issued_at: Option<UnixTime>,
    pub(super) expires_at: UnixTime,
}

/// The claims that an issuer's tokens must have.
#[derive(Clone, Debug)]
pub struct ClaimRules {
    /// The exact value of `iss`.
    pub issuer: String,
    /// The accepted values of `aud`, of which a token must have one exactly.
    pub audiences: Vec<String>,
    /// Claims that must have one of these values, by name or JSON pointer. A claim that is a list of strings must hold one of them,
    /// and so must the words of a scope.
    pub required: Vec<(String, Vec<ClaimValue>)>,
    /// The greatest difference between the issuer's clock and the host's.
    pub clock_skew: Duration,
}

/// A claim for which a token is refused. The error holds no value of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimsError<'p> {
    /// The payload is not one strict JSON object.
    Form,
    /// `iss` is missing, or names another issuer.
    Issuer,
    /// `aud` is missing, malformed, or names none of the policy's audiences.
    Audience,
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
            Self::Issuer => f.write_str("`iss` is not the issuer"),
            Self::Audience => f.write_str("`aud` names none of the audiences"),
            Self::Required(name) => write!(f, "the claim `{name}` has none of the required values"),
            Self::Date(name) => write!(f, "`{name}` is not a date in seconds since 1970"),
            Self::NotYetValid => f.write_str("`nbf` is in the future"),
            Self::IssuedInFuture => f.write_str("`iat` is in the future"),
            Self::Expired => f.write_str("`exp` has passed"),
        }
    }
}

impl Claims {
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
        self.0.get(name).and_then(Value::as_str)
    }

    /// Returns the place of the first condition that the claims do not meet.
    pub(super) fn first_missing(&self, conditions: &[(String, Vec<ClaimValue>)]) -> Option<usize> {
        conditions.iter().position(|(name, allowed)| {
            !self.get(name).is_some_and(|value| says_one_of(name, value, allowed))
        })
    }

    fn dates(&self) -> Result<Dates, ClaimsError<'static>> {
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

impl ClaimRules {
    /// Returns whether the token is of this issuer, going by its own unverified `iss`.
    pub(super) fn is_issuer(&self, claims: &Claims) -> bool {
        claims.text("iss") == Some(&self.issuer)
    }

    /// Returns whether the token has the required claims.
    pub(super) fn are_required(&self, claims: &Claims) -> bool {
        self.missing(claims).is_none()
    }

    /// Returns the first required claim that the token does not have.
    fn missing(&self, claims: &Claims) -> Option<&str> {
        claims
            .first_missing(&self.required)
            .and_then(|place| self.required.get(place))
            .map(|(name, _)| name.as_str())
    }

    /// Returns whether the token is for one of the audiences.
    pub(super) fn is_audience(&self, claims: &Claims) -> bool {
        let is_ours = |value: &str| self.audiences.iter().any(|audience| audience == value);
        match claims.get("aud") {
            Some(Value::String(audience)) => is_ours(audience),
            Some(Value::Array(audiences)) => texts(audiences).is_some_and(|mut texts| texts.any(is_ours)),
            _ => false,
        }
    }

    /// Judges verified claims, and returns their dates.
    pub(super) fn judge(
        &self,
        VerifiedClaims(claims): &VerifiedClaims,
        now: UnixTime,
    ) -> Result<Dates, ClaimsError<'_>> {
        if !self.is_issuer(claims) {
            return Err(ClaimsError::Issuer);
        }
        if !self.is_audience(claims) {
            return Err(ClaimsError::Audience);
        }
        if let Some(name) = self.missing(claims) {
            return Err(ClaimsError::Required(name));
        }
        let dates = claims.dates()?;
        self.judge_dates(dates, now)?;
        Ok(dates)
    }

    /// Judges the dates of claims that are otherwise valid. No other check of theirs depends on the time.
    pub(super) fn judge_dates(&self, dates: Dates, now: UnixTime) -> Result<(), ClaimsError<'static>> {
        let Dates { not_before, issued_at, expires_at } = dates;
        let skew = i64::try_from(self.clock_skew.as_secs()).unwrap_or(i64::MAX);
        let latest_now = UnixTime(now.0.saturating_add(skew));
        let earliest_now = UnixTime(now.0.saturating_sub(skew));
        if not_before.is_some_and(|at| latest_now < at) {
            return Err(ClaimsError::NotYetValid);
        }
        if issued_at.is_some_and(|at| latest_now < at) {
            return Err(ClaimsError::IssuedInFuture);
        }
        if expires_at <= earliest_now {
            return Err(ClaimsError::Expired);
        }
        Ok(())
    }
}

/// Returns the strings of a list; `None` where it holds anything else.
fn texts(items: &[Value]) -> Option<impl Iterator<Item = &str>> {
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
