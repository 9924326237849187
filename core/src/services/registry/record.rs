//! A record as a registry sends it: JSON in the shape of an inline token, with more.
//!
//! Unknown members are ignored, so that old data planes understand new registries. Known members must be valid: a
//! restriction that cannot be read would otherwise restrict nothing.

use serde_json::{Map, Value};

use crate::base::{Digest, UnixTime};
use crate::identity::{CallerKind, CallerRecord, Models, Scope, TokenStatus};
use crate::limit::{CallerLimit, RateLimit, TokenLimit};
use crate::policy;
use crate::services::fetch::Subject;
use crate::syntax::{is_line, is_plain_name, json};

/// The member with the SHA-256 of the client certificate that a token is bound to.
const CERTIFICATE: &str = "certificate_sha256";

/// The longest answer that is read, in bytes.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// Reads the record of the subject, with its version; `None` for any other answer.
pub(super) fn read(body: &[u8], subject: &Subject) -> Option<(CallerRecord, u64)> {
    if body.len() > MAX_BYTES {
        return None;
    }
    of(&json::parse(body).ok()?, subject)
}

/// Reads the same from JSON that was parsed.
pub(super) fn of(value: &Value, subject: &Subject) -> Option<(CallerRecord, u64)> {
    let Value::Object(members) = value else { return None };
    // An answer about another subject is malformed.
    let (kind, owner, label) = match subject {
        Subject::Token(digest) => {
            Digest::from_hex(members.get("sha256")?.as_str()?).filter(|it| it == digest)?;
            let label = line(members.get("label")?)?;
            (CallerKind::Token, member(members, "owner", line).ok()?, Some(label))
        }
        Subject::Person(email) => {
            members.get("email").filter(|told| told.as_str() == Some(email))?;
            (CallerKind::Person, Some(email.clone()), member(members, "label", line).ok()?)
        }
        _ => return None,
    };
    let digest = subject.digest()?;
    let version = member(members, "version", Value::as_u64).ok()?.unwrap_or_default();
    let record = CallerRecord {
        kind,
        digest,
        holder: member(members, "holder", digest_of).ok()?.unwrap_or(digest),
        label: label.or_else(|| owner.clone())?,
        owner,
        team: member(members, "team", team).ok()?,
        status: match members.get("status").map_or(Some("active"), Value::as_str)? {
            "active" => TokenStatus::Active,
            "disabled" => TokenStatus::Disabled,
            _ => return None,
        },
        scope: Scope::read(names(members.get("providers")?)?),
        models: member(members, "models", names).ok()?.map_or_else(Models::all, Models::new),
        expires_at: member(members, "expires_at", |value| UnixTime::from_rfc3339(value.as_str()?)).ok()?,
        rate_limit: member(members, "rate_limit", rate_limit).ok()?,
        ended_sessions: match kind {
            CallerKind::Person => member(members, "ended_sessions", names).ok()?.unwrap_or_default(),
            _ => Vec::new(),
        },
        certificate: member(members, CERTIFICATE, digest_of).ok()?,
        budget: None,
    };
    Some((record, version))
}

/// Returns whether the reply says, as only the registry does, that it knows no such token or person. A 404 alone may
/// come from anything in between.
pub(super) fn says_unknown(body: &[u8]) -> bool {
    body.len() <= MAX_BYTES
        && json::parse(body).is_ok_and(|body| {
            let code = body.get("code").and_then(Value::as_str);
            matches!(code, Some("unknown_token" | "unknown_user"))
        })
}

/// Writes the record in the form that [`read`] takes, with no other members: for the memory that workers share.
pub(super) fn write(record: &CallerRecord, subject: &Subject, version: u64) -> Vec<u8> {
    let rate_limit = record.rate_limit.map(|limit| {
        let per = format!("{}s", limit.seconds());
        let (requests, tokens) =
            (limit.requests.map(RateLimit::requests), limit.tokens.map(TokenLimit::tokens));
        serde_json::json!({"requests": requests, "tokens": tokens, "per": per})
    });
    let (sha256, email) = match subject {
        Subject::Person(email) => (None, Some(email)),
        _ => (Some(record.digest.to_hex()), None),
    };
    let mut form = serde_json::json!({
        "sha256": sha256,
        "email": email,
        "holder": record.holder.to_hex(),
        "label": record.label,
        "owner": record.owner,
        "team": record.team,
        "status": if record.status == TokenStatus::Active { "active" } else { "disabled" },
        "providers": record.scope.entries(),
        "models": record.models.lists().first(),
        "expires_at": record.expires_at.map(|at| at.to_string()),
        "rate_limit": rate_limit,
        CERTIFICATE: record.certificate.map(|certificate| certificate.to_hex()),
        "version": version,
    });
    if let Some(members) = form.as_object_mut().filter(|_| !record.ended_sessions.is_empty()) {
        members.insert("ended_sessions".to_owned(), record.ended_sessions.as_slice().into());
    }
    form.to_string().into_bytes()
}

/// The error of a member that is there and cannot be read.
pub(super) struct Malformed;

/// Reads a member that may be left out or null.
pub(super) fn member<'a, T>(
    members: &'a Map<String, Value>,
    name: &str,
    read: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<Option<T>, Malformed> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value).map(Some).ok_or(Malformed),
    }
}

pub(super) fn line(value: &Value) -> Option<String> {
    value.as_str().filter(|text| is_line(text, 256)).map(str::to_owned)
}

pub(super) fn names(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(line).collect()
}

fn team(value: &Value) -> Option<String> {
    value.as_str().filter(|text| is_plain_name(text)).map(str::to_owned)
}

fn digest_of(value: &Value) -> Option<Digest> {
    Digest::from_hex(value.as_str()?)
}

fn rate_limit(value: &Value) -> Option<CallerLimit> {
    let members = value.as_object()?;
    let number = |name| member(members, name, Value::as_u64).ok();
    let per = policy::duration(members.get("per")?.as_str()?)?;
    CallerLimit::per(number("requests")?, number("tokens")?, per)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole() -> Value {
        json!({
            "sha256": Digest::of(b"t").to_hex(), "label": "alice-laptop", "owner": "alice@example.com",
            "team": "research", "status": "active", "providers": ["openai"], "models": ["*"], "created_at": "2026-11-01T09:00:00Z",
            "expires_at": null, "rate_limit": {"requests": 100, "tokens": 90_000, "per": "60s"}, "version": 17, "new": {"x": [1]},
        })
    }

    #[test]
    fn what_is_known_is_read_and_what_is_new_is_ignored() {
        let (record, version) =
            read(whole().to_string().as_bytes(), &Subject::Token(Digest::of(b"t"))).unwrap();
        assert_eq!((record.label.as_str(), version), ("alice-laptop", 17));
        assert_eq!(record.team.as_deref(), Some("research"));
        assert_eq!(record.rate_limit, CallerLimit::new(Some(100), Some(90_000), 60));
        assert_eq!(record.holder, record.digest, "an older registry tells no holder");
        let subject = Subject::Token(record.digest);
        assert_eq!(read(&write(&record, &subject, 17), &subject), Some((record, 17)));
    }

    #[test]
    fn a_rotated_token_has_the_holder_of_its_line() {
        let mut body = whole();
        body["holder"] = json!(Digest::of(b"first").to_hex());
        let subject = Subject::Token(Digest::of(b"t"));
        let (record, _) = read(body.to_string().as_bytes(), &subject).unwrap();
        assert_eq!((record.holder, record.digest), (Digest::of(b"first"), Digest::of(b"t")));
        assert_eq!(read(&write(&record, &subject, 17), &subject), Some((record, 17)));
    }

    #[test]
    fn a_bound_token_stays_bound_in_the_memory_that_workers_share() {
        let mut body = whole();
        body[CERTIFICATE] = json!(Digest::of(b"certificate").to_hex());
        let subject = Subject::Token(Digest::of(b"t"));
        let (record, _) = read(body.to_string().as_bytes(), &subject).unwrap();
        assert_eq!(record.certificate, Some(Digest::of(b"certificate")));
        assert_eq!(read(&write(&record, &subject, 17), &subject), Some((record, 17)));
    }

    #[test]
    fn a_person_is_known_by_the_address_that_was_asked_for() {
        let body = json!({
            "email": "a@b.c", "label": null, "status": "active", "providers": ["openai"], "models": ["*"],
            "created_at": "2026-11-01T09:00:00Z", "rate_limit": null, "version": 5, "ended_sessions": ["s1", "s2"],
        });
        let read = |email: &str| read(body.to_string().as_bytes(), &Subject::Person(email.to_owned()));
        let (record, version) = read("a@b.c").unwrap();
        assert_eq!((record.label.as_str(), record.owner.as_deref(), version), ("a@b.c", Some("a@b.c"), 5));
        assert_eq!(record.ended_sessions, ["s1", "s2"]);
        let subject = Subject::Person("a@b.c".to_owned());
        assert_eq!(super::read(&write(&record, &subject, 5), &subject), Some((record, 5)));
        assert!(read("b@b.c").is_none());
    }

    #[test]
    fn a_record_that_is_not_what_it_should_be_is_none() {
        let change = |pointer: &str, value: Value| {
            let mut record = whole();
            *record.pointer_mut(pointer).unwrap() = value;
            record.to_string()
        };
        for body in [
            String::new(),
            "null".to_owned(),
            "[]".to_owned(),
            format!("{} x", whole()),
            whole().to_string().replacen('{', r#"{"status":"disabled","#, 1),
            change("/sha256", json!(Digest::of(b"u").to_hex())),
            change("/sha256", json!(Digest::of(b"t").to_hex().to_uppercase())),
            change("/label", json!(7)),
            change("/label", json!("a\r\nb")),
            change("/owner", json!(["x"])),
            change("/team", json!(["research"])),
            change("/team", json!("")),
            change("/team", json!("re search")),
            change("/team", json!("r\u{e9}search")),
            change("/status", json!("Active")),
            change("/status", Value::Null),
            change("/providers", json!("openai")),
            change("/providers", json!([1])),
            change("/models", json!("*")),
            change("/expires_at", json!(1_900_000_000)),
            change("/expires_at", json!("tomorrow")),
            change("/rate_limit", json!({"requests": 0, "per": "60s"})),
            change("/rate_limit", json!({"requests": 5, "per": "soon"})),
            change("/rate_limit", json!({"per": "60s"})),
            change("/rate_limit", json!({"requests": null, "tokens": null, "per": "60s"})),
            change("/rate_limit", json!({"requests": 5, "tokens": 0, "per": "60s"})),
            change("/rate_limit", json!({"requests": 5, "tokens": 4_294_967_296_u64, "per": "60s"})),
            change("/rate_limit", json!({"requests": 5, "tokens": "90000", "per": "60s"})),
            change("/version", json!(-1)),
            change("/new", json!({})).replace("\"new\":{}", "\"holder\":\"t\""),
            change("/new", json!({})).replace("\"new\":{}", "\"holder\":7"),
            change("/new", json!({})).replace("\"new\":{}", "\"certificate_sha256\":\"\""),
            change("/new", json!({})).replace("\"new\":{}", "\"certificate_sha256\":{}"),
            change("/label", json!("x".repeat(MAX_BYTES))),
        ] {
            assert!(read(body.as_bytes(), &Subject::Token(Digest::of(b"t"))).is_none(), "{body:.120}");
        }
    }
}
