//! Token introspection (RFC 7662), for teams whose tokens are known to another authorization server.
//!
//! The token goes to the server in the body of a POST, over the connection that the policy names, and nowhere else.

use percent_encoding::percent_encode;
use serde_json::Value;
use zeroize::Zeroizing;

use super::found::Found;
use super::record::{self, line, member, names};
use crate::base::{Digest, Moment, UnixTime};
use crate::identity::{
    CONFIRMATION, CallerKind, CallerRecord, Models, Scope, TokenStatus, bound_certificate,
};
use crate::syntax::{FORM, json};

/// Returns `token=…`, form-encoded (RFC 7662 section 2.1). The buffer has room for the longest encoding, so that no
/// copy of the token is left behind.
pub(super) fn question(token: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut body = Zeroizing::new(Vec::with_capacity(6 + token.len() * 3));
    body.extend_from_slice(b"token=");
    percent_encode(token, FORM).for_each(|part| body.extend_from_slice(part.as_bytes()));
    body
}

/// Reads an answer (RFC 7662 section 2.2); `None` where it is malformed.
///
/// `scope` is that of tokens whose answer has none. Where `audiences` has some, a token must be for one of
/// them.
pub(super) fn read(
    body: &[u8],
    digest: &Digest,
    scope: &Scope,
    audiences: &[String],
    now: Moment,
) -> Option<Found> {
    if body.len() > record::MAX_BYTES {
        return None;
    }
    let Value::Object(members) = json::parse(body).ok()? else { return None };
    if !members.get("active")?.as_bool()? {
        return Some(Found::Nothing);
    }
    let text = |name: &str| member(&members, name, line);
    let seconds = |name: &str| member(&members, name, Value::as_i64);
    let names = |name: &str| member(&members, name, names);
    if !audiences.is_empty() && !is_for(members.get("aud"), audiences) {
        return Some(Found::Nothing);
    }
    // The server says `active`; a time that says otherwise is a contradiction.
    if seconds("nbf").ok()?.is_some_and(|from| UnixTime(from) > now.unix()) {
        return Some(Found::Nothing);
    }
    // RFC 8705 section 3.2. A binding that cannot be checked is a malformed answer, since without it the token is anybody's.
    let certificate = member(&members, CONFIRMATION, bound_certificate).ok()?;
    let (username, subject) = (text("username").ok()?, text("sub").ok()?);
    let label = text("label").ok()?.or_else(|| username.clone()).or(subject);
    let record = CallerRecord {
        kind: CallerKind::Introspected,
        digest: *digest,
        holder: *digest,
        label: label.unwrap_or_else(|| "introspected".to_owned()),
        owner: username.filter(|name| name.contains('@')),
        team: None,
        status: TokenStatus::Active,
        scope: names("providers").ok()?.map_or_else(|| scope.clone(), Scope::read),
        models: names("models").ok()?.map_or_else(Models::all, Models::new),
        expires_at: seconds("exp").ok()?.map(UnixTime),
        rate_limit: None,
        ended_sessions: Vec::new(),
        certificate,
        budget: None,
    };
    Some(Found::Record(record, 0))
}

/// Returns whether `aud`, a string or a list of strings, has one of the audiences (RFC 7662 section 2.2). Both are
/// compared whole.
fn is_for(told: Option<&Value>, audiences: &[String]) -> bool {
    let is_ours = |value: &Value| audiences.iter().any(|audience| value.as_str() == Some(audience));
    match told {
        Some(Value::Array(told)) => told.iter().any(is_ours),
        Some(told) => is_ours(told),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &str) -> Option<Found> {
        read(body.as_bytes(), &Digest::of(b"t"), &Scope::read(["openai"]), &[], Moment(1_000_000_000_000))
    }

    #[test]
    fn the_question_is_form_encoded_and_nothing_moves() {
        let body = question(b"a+b/=~ &\xff-_.");
        assert_eq!(*body, b"token=a%2Bb%2F%3D%7E%20%26%FF-_.");
        assert!(body.capacity() >= body.len());
    }

    #[test]
    fn an_active_token_has_the_scope_that_is_told_or_the_policys() {
        let Some(Found::Record(record, ..)) = found(r#"{"active":true,"username":"a@b","exp":2000}"#) else {
            panic!("not found");
        };
        assert_eq!((record.label.as_str(), record.owner.as_deref()), ("a@b", Some("a@b")));
        assert_eq!((record.scope, record.expires_at), (Scope::read(["openai"]), Some(UnixTime(2000))));
        let Some(Found::Record(record, _)) = found(r#"{"active":true,"providers":["gemini"]}"#) else {
            panic!("not found");
        };
        assert_eq!(record.scope, Scope::read(["gemini"]));
    }

    #[test]
    fn a_token_for_somebody_else_is_nothing() {
        let audiences = ["llm".to_owned(), "other".to_owned()];
        for (aud, is_found) in [
            (r#""llm""#, true),
            (r#"["x","other"]"#, true),
            (r#""LLM""#, false),
            (r#""llm-2""#, false),
            ("[]", false),
            ("7", false),
            ("null", false),
        ] {
            let body = format!(r#"{{"active":true,"aud":{aud}}}"#);
            let found = read(body.as_bytes(), &Digest::of(b"t"), &Scope::default(), &audiences, Moment(1));
            assert_eq!(matches!(found, Some(Found::Record(..))), is_found, "{aud}");
        }
    }

    #[test]
    fn what_is_not_active_is_nothing_and_what_is_no_answer_is_none() {
        for body in [r#"{"active":false}"#, r#"{"active":false,"exp":5}"#, r#"{"active":true,"nbf":5000}"#] {
            assert!(matches!(found(body), Some(Found::Nothing)), "{body}");
        }
        for body in [
            "",
            "{}",
            "true",
            r#"{"active":"true"}"#,
            r#"{"active":1}"#,
            r#"{"active":true,"exp":"soon"}"#,
            r#"{"active":true,"active":false}"#,
            r#"{"active":true,"providers":"all"}"#,
            r#"{"active":true,"cnf":{"jkt":"a"}}"#,
            r#"{"active":true,"cnf":{"x5t#S256":"a"}}"#,
        ] {
            assert!(found(body).is_none(), "{body}");
        }
    }
}
