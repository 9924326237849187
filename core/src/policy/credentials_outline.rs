//! Upstream credentials in the outline of a policy.

use serde_json::{Map, Value, json};

use super::agent_call::{CallBody, CallJson, CallSecret, CallText};
use super::credentials::{CredentialPolicy, Source};
use super::http_source::{Expiry, HttpSource, Subject};
use super::outline_words::{auth, digest, duration, plaintext};

pub(super) fn credentials(policy: &CredentialPolicy) -> Value {
    let chain = |chain: &[Source]| chain.iter().map(source).collect::<Vec<_>>();
    policy
        .chains()
        .map(|(name, sources)| (name.to_owned(), chain(sources).into()))
        .collect::<Map<_, _>>()
        .into()
}

fn source(source: &Source) -> Value {
    match source {
        Source::Env(variable) => json!({"env": variable.name()}),
        Source::File(path) => json!({"file": path}),
        Source::RequestHeader(name) => json!({"request_header": name}),
        Source::SignIn(beginning) => json!({"sign_in": beginning}),
        Source::Http(source) => json!({"http": http(source)}),
        Source::Host => json!({"inject_by": "host"}),
    }
}

fn http(source: &HttpSource) -> Value {
    let HttpSource {
        endpoint,
        method,
        body,
        subject,
        expected,
        cluster,
        headers,
        credential,
        timeout,
        value,
        bedrock_region,
        expiry,
        max_age,
        refresh_before,
    } = source;
    let (form, json) = match body {
        Some(CallBody::Form(members)) => (Some(call_form(members)), None),
        Some(CallBody::Json(json)) => (None, Some(call_json(json))),
        None => (None, None),
    };
    let (expires_at, expires_in) = match expiry {
        Expiry::OfValue => (None, None),
        Expiry::At(pointer) => (Some(pointer), None),
        Expiry::In(pointer) => (None, Some(pointer)),
    };
    json!({
        "url": endpoint.to_string(),
        "plaintext": plaintext(endpoint.is_exposed()),
        "method": method.name(),
        "form": form,
        "json": json,
        "subject": match subject {
            Subject::DataPlane => "data_plane",
            Subject::Caller => "caller",
        },
        "expect": expected.iter().map(|(pointer, text)| (pointer.clone(), call_text(text)))
            .collect::<Map<_, _>>(),
        "cluster": cluster,
        // The values may be confidential, so the outline has digests of them.
        "headers": headers.iter().map(|(name, value)| json!({"name": name, "sha256": digest(value.as_bytes())}))
            .collect::<Vec<_>>(),
        "credential": credential.as_ref().map(|(secret, _)| call_secret(secret)),
        "auth": credential.as_ref().map(|(_, style)| auth(style)),
        "timeout": duration(*timeout),
        "value": value,
        "bedrock_key": bedrock_region.as_ref().map(|region| json!({"region": region})),
        "expires_at": expires_at,
        "expires_in": expires_in,
        "max_age": max_age.map(duration),
        "refresh_before": duration(*refresh_before),
    })
}

fn call_form(members: &[(String, CallText)]) -> Value {
    members.iter().map(|(name, text)| (name.clone(), call_text(text))).collect::<Map<_, _>>().into()
}

fn call_json(json: &CallJson) -> Value {
    match json {
        CallJson::Text(text) => call_text(text),
        CallJson::Constant(value) => value.clone(),
        CallJson::List(items) => items.iter().map(call_json).collect(),
        CallJson::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), call_json(value))).collect::<Map<_, _>>().into()
        }
    }
}

/// Returns a text of a call. One that stands in the policy may be confidential, so the outline has its digest.
fn call_text(text: &CallText) -> Value {
    match text {
        CallText::Literal(text) => json!({"sha256": digest(text.as_bytes())}),
        CallText::Secret(secret) => call_secret(secret),
        CallText::CallerJwt => json!({"caller": "jwt"}),
        CallText::CallerClaim(name) => json!({"claim": name}),
    }
}

fn call_secret(secret: &CallSecret) -> Value {
    match secret {
        CallSecret::Variable(variable) => json!({"env": variable.name()}),
        CallSecret::Credential(name) => json!({"credential": name}),
    }
}
