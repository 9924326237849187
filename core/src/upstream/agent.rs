//! The answer of a token agent or a secret manager: where its value is, and until when it is good.
//!
//! What is not said is refused: a value whose end nobody knows, one that has ended, one that cannot stand in a header. A
//! fault says what was wrong with the answer and repeats nothing of it.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::json;
use crate::jwt;
use crate::policy::{Expiry, HttpSource};
use crate::secret::{Secret, SecretFault};
use crate::time::{Moment, UnixTime};

/// A longer answer is not read.
const MAX_BYTES: usize = 64 * 1024;
/// How deep it may nest.
const MAX_DEPTH: u8 = 16;

pub(super) struct Answer {
    pub(super) secret: Secret,
    pub(super) expires_at: Moment,
}

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AgentFault {
    TooLong,
    Form,
    NoValue,
    Value(SecretFault),
    NoExpiry,
    Expired,
}

impl fmt::Display for AgentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the answer is longer than 64 KiB",
            Self::Form => "the answer is not one strict JSON document",
            Self::NoValue => "the answer has no string at `value`",
            Self::Value(fault) => return write!(f, "the value {fault}"),
            Self::NoExpiry => {
                "the answer does not say until when the value is good: point at it with `expires_at` or \
                 `expires_in`, or set `max_age`"
            }
            Self::Expired => "the value has expired already",
        })
    }
}

/// Reads an answer that came just now.
pub(super) fn read(body: &[u8], source: &HttpSource, now: Moment) -> Result<Answer, AgentFault> {
    if body.len() > MAX_BYTES {
        return Err(AgentFault::TooLong);
    }
    let is_json = source.value.is_some() || !matches!(source.expiry, Expiry::OfValue);
    let document = is_json.then(|| json::parse_within(MAX_DEPTH, body).map_err(|_| AgentFault::Form));
    let mut document = document.transpose()?;
    let said = document.as_ref().and_then(|document| expiry_in(document, &source.expiry, now));
    let value = match (&source.value, &mut document) {
        (Some(pointer), Some(document)) => take_text(document, pointer).ok_or(AgentFault::NoValue)?,
        // A file ends in a line break.
        _ => body.strip_suffix(b"\n").unwrap_or(body).to_vec(),
    };
    let said = said.or_else(|| match source.expiry {
        Expiry::OfValue => jwt::expiry_of(&value).map(Moment::from),
        Expiry::At(_) | Expiry::In(_) => None,
    });
    let oldest = source.max_age.map(|age| now.after(age));
    // Where it is said in a way that cannot be read, `max_age` does not stand in for it.
    let is_unreadable = said.is_none() && !matches!(source.expiry, Expiry::OfValue);
    let expires_at = [said, oldest].into_iter().flatten().min().filter(|_| !is_unreadable);
    let expires_at = expires_at.ok_or(AgentFault::NoExpiry)?;
    if expires_at <= now {
        return Err(AgentFault::Expired);
    }
    Ok(Answer { secret: Secret::new(value).map_err(AgentFault::Value)?, expires_at })
}

fn take_text(document: &mut Value, pointer: &str) -> Option<Vec<u8>> {
    match document.pointer_mut(pointer)?.take() {
        Value::String(text) => Some(text.into_bytes()),
        _ => None,
    }
}

fn expiry_in(document: &Value, expiry: &Expiry, now: Moment) -> Option<Moment> {
    match expiry {
        Expiry::OfValue => None,
        Expiry::In(pointer) => {
            seconds(document.pointer(pointer)?).map(|seconds| now.after(Duration::from_secs(seconds)))
        }
        Expiry::At(pointer) => {
            let value = document.pointer(pointer)?;
            let of_text = || UnixTime::from_rfc3339(value.as_str()?).map(Moment::from);
            seconds(value)
                .map(|seconds| Moment::default().after(Duration::from_secs(seconds)))
                .or_else(of_text)
        }
    }
}

/// Whole seconds, which some services write as a string.
fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
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
    /// `{"exp":1800000060}` and `{"sub":"a"}` between a header and a signature that nobody reads.
    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE4MDAwMDAwNjB9.c2ln";
    const TIMELESS: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";

    fn source(more: &Value) -> HttpSource {
        let mut http = json!({"url": "http://agent/token"});
        for (name, value) in more.as_object().unwrap() {
            http[name] = value.clone();
        }
        let document = json!({"version": "keyswap/v1", "credentials": {"openai": [{"http": http}]}});
        let policy = Policy::from_json(document.to_string().as_bytes()).unwrap();
        let (_, chain) = policy.credentials.chains().next().unwrap();
        let [crate::policy::Source::Http(source)] = chain else { panic!("one source") };
        HttpSource::clone(source)
    }

    /// For how many seconds the value is good.
    fn life(body: &str, more: &Value) -> Result<u64, AgentFault> {
        read(body.as_bytes(), &source(more), NOW).map(|answer| (answer.expires_at.0 - NOW.0) / 1_000_000_000)
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
            (json!({"token": "t", "at": 1_800_000_000}), &at, Err(AgentFault::Expired)),
            (json!({"token": "t", "at": "soon"}), &at, Err(AgentFault::NoExpiry)),
            (json!({"token": "t", "at": -1}), &at, Err(AgentFault::NoExpiry)),
            (json!({"token": "t"}), &at, Err(AgentFault::NoExpiry)),
            (json!({"a": [{"/": "t"}], "in": 3599}), &within, Ok(3599)),
            (json!({"a": [{"/": "t"}], "in": "3599"}), &within, Ok(3599)),
            (json!({"a": [{"/": "t"}], "in": 0}), &within, Err(AgentFault::Expired)),
            (json!({"a": [{"/": "t"}], "in": u64::MAX}), &within, Ok((u64::MAX - NOW.0) / 1_000_000_000)),
            (json!({"token": JWT}), &token, Ok(60)),
            (json!({"token": JWT}), &aged, Ok(30)),
            (json!({"token": TIMELESS}), &token, Err(AgentFault::NoExpiry)),
            (json!({"token": "t"}), &token, Err(AgentFault::NoExpiry)),
            (json!({"token": "t"}), &aged, Ok(30)),
            (json!({"token": "t", "at": 1_800_000_060}), &aged_at, Ok(30)),
            // A lifetime that cannot be read is not replaced by another.
            (json!({"token": "t", "at": "soon"}), &aged_at, Err(AgentFault::NoExpiry)),
            (json!({"token": 7, "at": 1_800_000_060}), &at, Err(AgentFault::NoValue)),
            (json!({"tokens": "t", "at": 1_800_000_060}), &at, Err(AgentFault::NoValue)),
            (json!([]), &aged, Err(AgentFault::NoValue)),
        ] {
            assert_eq!(life(&body.to_string(), source), expect, "{body} {source}");
        }
    }

    #[test]
    fn the_body_itself_may_be_the_value() {
        for (body, expect) in [
            (JWT.to_owned(), Ok(60)),
            (format!("{JWT}\n"), Ok(60)),
            (format!("{JWT}\n\n"), Err(AgentFault::Value(SecretFault::LineBreakAtEnd))),
            (TIMELESS.to_owned(), Err(AgentFault::NoExpiry)),
        ] {
            assert_eq!(life(&body, &json!({})), expect, "{body:?}");
        }
        assert_eq!(life("vault-key\n", &json!({"max_age": "5m"})), Ok(300));
    }

    #[test]
    fn what_cannot_stand_in_a_header_or_is_no_strict_json_is_refused() {
        let aged = json!({"value": "/t", "max_age": "30s"});
        for (body, expect) in [
            (r#"{"t":"a\r\nx: y"}"#, AgentFault::Value(SecretFault::NotVisibleAscii { at: 1 })),
            (r#"{"t":"a\u0000"}"#, AgentFault::Value(SecretFault::NotVisibleAscii { at: 1 })),
            (r#"{"t":"é"}"#, AgentFault::Value(SecretFault::NotVisibleAscii { at: 0 })),
            (r#"{"t":"a b"}"#, AgentFault::Value(SecretFault::NotVisibleAscii { at: 1 })),
            (r#"{"t":"a\n"}"#, AgentFault::Value(SecretFault::LineBreakAtEnd)),
            (r#"{"t":""}"#, AgentFault::Value(SecretFault::Empty)),
            (r#"{"t":"a","t":"b"}"#, AgentFault::Form),
            (r#"{"t":"a"} {}"#, AgentFault::Form),
            ("", AgentFault::Form),
            ("<html>", AgentFault::Form),
        ] {
            assert_eq!(life(body, &aged), Err(expect), "{body}");
        }
        assert_eq!(life(&" ".repeat(MAX_BYTES + 1), &aged), Err(AgentFault::TooLong));
        assert_eq!(life(&"[".repeat(1000), &aged), Err(AgentFault::Form));
    }
}
