//! The answer of a token agent or a secret manager: its value, and the expiry of that.
//!
//! Refused are a value without an expiry, an expired value, one that cannot stand in a header, and a document in place
//! of a value. A relative lifetime counts from the time of the request. An error names the fault of the answer and
//! repeats nothing of it.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::bedrock;
use super::given::{Given, Purpose};
use crate::base::{Moment, UnixTime};
use crate::identity::jwt;
use crate::policy::{Expiry, HttpSource};
use crate::secret::SecretError;
use crate::syntax::json;

/// The longest answer that is read, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// The deepest nesting of an answer, in levels.
const MAX_DEPTH: u8 = 16;

/// The longest lifetime that is accepted. An answer with a longer one counts in milliseconds.
const MAX_LIFE: Duration = Duration::from_hours(24 * 366);

pub(super) struct Answer {
    pub(super) given: Given,
    pub(super) expires_at: Moment,
    /// The longest lifetime from any moment on: a bound for clocks that are put back.
    pub(super) at_most: Duration,
}

/// An error of an agent's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AgentError {
    TooLong,
    Form,
    NoValue,
    NoAwsCredential,
    Document,
    Value(SecretError),
    Unexpected,
    NoExpiry,
    TooFar,
    Expired,
}

impl std::error::Error for AgentError {}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the answer is longer than 64 KiB",
            Self::Form => "the answer is not one strict JSON document",
            Self::NoValue => "the answer has no string at `value`",
            Self::NoAwsCredential => "the answer has no `AccessKeyId` and `SecretAccessKey` at `value`",
            Self::Document => "the answer is a JSON document: point at the value in it with `value`",
            Self::Value(fault) => return write!(f, "the value {fault}"),
            Self::Unexpected => "the answer has another text than it must have by `expect`",
            Self::NoExpiry => {
                "the answer has no expiry of the value: point at one with `expires_at` or \
                 `expires_in`, or set `max_age`"
            }
            Self::TooFar => "the value would last for more than a year: times count in seconds",
            Self::Expired => "the value has expired already",
        })
    }
}

/// Reads the answer to a request that was made at `asked_at`. `expected` has the texts that must stand at places of it.
/// The value is for `purpose`.
pub(super) fn read(
    body: &[u8],
    source: &HttpSource,
    purpose: Purpose,
    expected: &[(String, String)],
    asked_at: Moment,
    now: Moment,
) -> Result<Answer, AgentError> {
    if body.len() > MAX_BYTES {
        return Err(AgentError::TooLong);
    }
    let (value, said) = match &source.value {
        None => (plain(body)?, None),
        Some(pointer) => {
            let mut document = json::parse_within(MAX_DEPTH, body).map_err(|_| AgentError::Form)?;
            let has = |(pointer, text): &(String, String)| {
                document.pointer(pointer).and_then(Value::as_str) == Some(text)
            };
            if !expected.iter().all(has) {
                return Err(AgentError::Unexpected);
            }
            let said = source.expiry.said_in(&document, asked_at)?;
            let value = match &source.bedrock_region {
                None => take_text(&mut document, pointer).ok_or(AgentError::NoValue)?,
                Some(region) => document
                    .pointer(pointer)
                    .and_then(|credential| bedrock::short_term_key(credential, region, now))
                    .ok_or(AgentError::NoAwsCredential)?,
            };
            (value, said)
        }
    };
    let of_value = jwt::expiry_of(&value).map(Moment::from);
    let oldest = source.max_age.map(|age| asked_at.after(age));
    let ends = [said.map(|said| said.at), of_value, oldest];
    let mut expires_at = ends.into_iter().flatten().min().ok_or(AgentError::NoExpiry)?;
    if source.bedrock_region.is_some() {
        expires_at = expires_at.min(now.after(bedrock::MAX_LIFE));
    }
    if expires_at <= now {
        return Err(AgentError::Expired);
    }
    if expires_at > now.after(MAX_LIFE) {
        return Err(AgentError::TooFar);
    }
    let relative = said.and_then(|said| said.life);
    let at_most = [relative, source.max_age].into_iter().flatten().min().unwrap_or(MAX_LIFE);
    Ok(Answer { given: Given::new(value, purpose).map_err(AgentError::Value)?, expires_at, at_most })
}

/// Reads a body that is the value itself. A file ends in a line break, which is left out.
fn plain(body: &[u8]) -> Result<Vec<u8>, AgentError> {
    let value = body.strip_suffix(b"\n").unwrap_or(body);
    match value.trim_ascii_start().first() {
        Some(b'{' | b'[' | b'"') => Err(AgentError::Document),
        _ => Ok(value.to_vec()),
    }
}

fn take_text(document: &mut Value, pointer: &str) -> Option<Vec<u8>> {
    match document.pointer_mut(pointer)?.take() {
        Value::String(text) => Some(text.into_bytes()),
        _ => None,
    }
}

/// The expiry that an answer states.
#[derive(Clone, Copy)]
struct Said {
    at: Moment,
    /// The lifetime, where the answer states one.
    life: Option<Duration>,
}

impl Expiry {
    /// Returns the expiry that the document states at the pointer.
    ///
    /// # Errors
    /// If the pointer leads to no expiry: nothing else stands in for it.
    fn said_in(&self, document: &Value, asked_at: Moment) -> Result<Option<Said>, AgentError> {
        let (Self::In(pointer) | Self::At(pointer)) = self else { return Ok(None) };
        let value = document.pointer(pointer).ok_or(AgentError::NoExpiry)?;
        let life = seconds(value).map(Duration::from_secs);
        let of_text = || UnixTime::from_rfc3339(value.as_str()?).map(Moment::from);
        let said = match self {
            Self::In(_) => life.map(|life| Said { at: asked_at.after(life), life: Some(life) }),
            _ => life
                .map(|since| Moment::default().after(since))
                .or_else(of_text)
                .map(|at| Said { at, life: None }),
        };
        said.map(Some).ok_or(AgentError::NoExpiry)
    }
}

/// Reads seconds, which some services write as a string, and AWS with an exponent. A fraction is cut off.
fn seconds(value: &Value) -> Option<u64> {
    match value {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what is too large becomes the latest time there is"
        )]
        Value::Number(number) => number
            .as_u64()
            .or_else(|| number.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds as u64)),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::Policy;

    /// 2027-01-15T08:00:00Z
    const NOW: Moment = Moment(1_800_000_000 * 1_000_000_000);
    /// `{"exp":1800000060}` and `{"sub":"a"}` between a header and a signature that are not read.
    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE4MDAwMDAwNjB9.c2ln";
    const TIMELESS: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";

    fn source(more: &Value) -> HttpSource {
        let mut http = json!({"url": "http://agent/token", "plaintext": "trusted_network"});
        for (name, value) in more.as_object().unwrap() {
            http[name] = value.clone();
        }
        let document = json!({"version": "keyswap/v1", "credentials": {"openai": [{"http": http}]}});
        let policy = Policy::from_json(document.to_string().as_bytes()).unwrap();
        let (_, chain) = policy.credentials.chains().next().unwrap();
        let [crate::policy::Source::Http(source)] = chain else { panic!("one source") };
        HttpSource::clone(source)
    }

    /// Returns the seconds for which the value is good.
    fn life(body: &str, more: &Value) -> Result<u64, AgentError> {
        let asked_at = Moment(NOW.0 - 5_000_000_000);
        read(body.as_bytes(), &source(more), Purpose::Upstream, &[], asked_at, NOW)
            .map(|answer| (answer.expires_at.0 - NOW.0) / 1_000_000_000)
    }

    #[test]
    fn a_value_is_good_until_the_answer_says_or_until_it_is_too_old() {
        let token = json!({"value": "/token"});
        let at = json!({"value": "/token", "expires_at": "/at"});
        let within = json!({"value": "/a/0/~1", "expires_in": "/in"});
        let aged = json!({"value": "/token", "max_age": "30s"});
        let aged_at = json!({"value": "/token", "expires_at": "/at", "max_age": "30s"});
        for (body, source, expect) in [
            (json!({"token": "t", "at": "2027-01-15T08:01:00Z"}), &at, Ok(60)),
            (json!({"token": "t", "at": 1_800_000_060}), &at, Ok(60)),
            (json!({"token": "t", "at": "1800000060"}), &at, Ok(60)),
            (json!({"token": "t", "at": 1.800_000_060_9e9}), &at, Ok(60)),
            (json!({"token": "t", "at": 1e300}), &at, Err(AgentError::TooFar)),
            (json!({"token": "t", "at": -1e9}), &at, Err(AgentError::NoExpiry)),
            (json!({"token": "t", "at": 1_800_000_000}), &at, Err(AgentError::Expired)),
            (json!({"token": "t", "at": "soon"}), &at, Err(AgentError::NoExpiry)),
            (json!({"token": "t", "at": -1}), &at, Err(AgentError::NoExpiry)),
            (json!({"token": "t"}), &at, Err(AgentError::NoExpiry)),
            // A relative lifetime counts from the request, five seconds ago.
            (json!({"a": [{"/": "t"}], "in": 3599}), &within, Ok(3594)),
            (json!({"a": [{"/": "t"}], "in": "3599"}), &within, Ok(3594)),
            (json!({"a": [{"/": "t"}], "in": 5}), &within, Err(AgentError::Expired)),
            (json!({"a": [{"/": JWT}], "in": 3599}), &within, Ok(60)),
            (json!({"a": [{"/": "t"}], "in": u64::MAX}), &within, Err(AgentError::TooFar)),
            // Milliseconds.
            (json!({"token": "t", "at": 1_800_000_060_000_u64}), &at, Err(AgentError::TooFar)),
            (json!({"token": JWT}), &token, Ok(60)),
            (json!({"token": JWT}), &aged, Ok(25)),
            (json!({"token": TIMELESS}), &token, Err(AgentError::NoExpiry)),
            (json!({"token": "t"}), &token, Err(AgentError::NoExpiry)),
            (json!({"token": "t"}), &aged, Ok(25)),
            (json!({"token": "t", "at": 1_800_000_060}), &aged_at, Ok(25)),
            // A lifetime that cannot be read is not replaced by another.
            (json!({"token": "t", "at": "soon"}), &aged_at, Err(AgentError::NoExpiry)),
            (json!({"token": 7, "at": 1_800_000_060}), &at, Err(AgentError::NoValue)),
            (json!({"tokens": "t", "at": 1_800_000_060}), &at, Err(AgentError::NoValue)),
            (json!([]), &aged, Err(AgentError::NoValue)),
        ] {
            assert_eq!(life(&body.to_string(), source), expect, "{body} {source}");
        }
    }

    #[test]
    fn a_key_of_bedrock_ends_with_its_session_and_after_twelve_hours() {
        let credential = json!({"AccessKeyId": "a", "SecretAccessKey": "s", "SessionToken": "t"});
        let at_root = json!({"bedrock_key": {"region": "us-east-1"}, "expires_at": "/Expiration"});
        let below =
            json!({"bedrock_key": {"region": "us-east-1"}, "value": "/c", "expires_at": "/c/Expiration"});
        for (expiration, expect) in [
            (json!(1.800_003_6e9), Ok(3600)),
            (json!("2027-01-15T09:00:00Z"), Ok(3600)),
            (json!("2027-01-17T08:00:00Z"), Ok(12 * 3600)),
            (json!(1_800_000_000), Err(AgentError::Expired)),
            (json!(1_900_000_000_u64), Ok(12 * 3600)),
            (json!(null), Err(AgentError::NoExpiry)),
        ] {
            let mut document = credential.clone();
            document["Expiration"] = expiration;
            assert_eq!(life(&document.to_string(), &at_root), expect, "{document}");
            assert_eq!(life(&json!({"c": document}).to_string(), &below), expect, "{document}");
        }
        let other = json!({"Expiration": 1_800_000_060, "AccessKeyId": "a"});
        assert_eq!(life(&other.to_string(), &at_root), Err(AgentError::NoAwsCredential));
    }

    #[test]
    fn the_body_itself_may_be_the_value() {
        for (body, expect) in [
            (JWT.to_owned(), Ok(60)),
            (format!("{JWT}\n"), Ok(60)),
            (format!("{JWT}\n\n"), Err(AgentError::Value(SecretError::LineBreakAtEnd))),
            (TIMELESS.to_owned(), Err(AgentError::NoExpiry)),
        ] {
            assert_eq!(life(&body, &json!({})), expect, "{body:?}");
        }
        let aged = json!({"max_age": "5m"});
        assert_eq!(life("vault-key\n", &aged), Ok(295));
        for body in [r#"{"token":"t","refresh_token":"r"}"#, " [1]", r#""t""#] {
            assert_eq!(life(body, &aged), Err(AgentError::Document), "{body}");
        }
    }

    #[test]
    fn what_cannot_stand_in_a_header_or_is_no_strict_json_is_refused() {
        let aged = json!({"value": "/t", "max_age": "30s"});
        for (body, expect) in [
            (r#"{"t":"a\r\nx: y"}"#, AgentError::Value(SecretError::NotVisibleAscii { at: 1 })),
            (r#"{"t":"a\u0000"}"#, AgentError::Value(SecretError::NotVisibleAscii { at: 1 })),
            (r#"{"t":"é"}"#, AgentError::Value(SecretError::NotVisibleAscii { at: 0 })),
            (r#"{"t":"a b"}"#, AgentError::Value(SecretError::NotVisibleAscii { at: 1 })),
            (r#"{"t":"a\n"}"#, AgentError::Value(SecretError::LineBreakAtEnd)),
            (r#"{"t":""}"#, AgentError::Value(SecretError::Empty)),
            (r#"{"t":"a","t":"b"}"#, AgentError::Form),
            (r#"{"t":"a"} {}"#, AgentError::Form),
            ("", AgentError::Form),
            ("<html>", AgentError::Form),
        ] {
            assert_eq!(life(body, &aged), Err(expect), "{body}");
        }
        assert_eq!(life(&" ".repeat(MAX_BYTES + 1), &aged), Err(AgentError::TooLong));
        assert_eq!(life(&"[".repeat(1000), &aged), Err(AgentError::Form));
    }
}
