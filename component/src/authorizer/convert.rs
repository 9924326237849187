//! Conversions between the engine's types and those of the interface.

use keyswap_core::answer::LocalReply;
use keyswap_core::judge::{Decision, Field};
use keyswap_core::policy::PolicyErrors;
use keyswap_core::request::OwnedHead;
use keyswap_core::services::{Fetch, MAX_FETCHED_BYTES};

use super::bindings::exports::keyswap::auth::authorizer as wit;

pub(super) fn head(head: wit::RequestHead) -> OwnedHead {
    let wit::RequestHead { method, target, fields } = head;
    let host = fields.iter().find(|field| field.name.eq_ignore_ascii_case("host"));
    let authority = host.map(|host| String::from_utf8_lossy(&host.value).into_owned()).unwrap_or_default();
    let fields = fields.into_iter().map(|field| (field.name, field.value)).collect();
    OwnedHead { method, target, authority, scheme: String::new(), fields }
}

/// Converts a line. Names come from text, so nothing is lost.
pub(super) fn field((name, value): Field<'_>) -> wit::Field {
    wit::Field { name: String::from_utf8_lossy(name).into_owned(), value: value.to_vec() }
}

pub(super) fn errors(errors: PolicyErrors) -> Vec<wit::PolicyError> {
    let errors = errors.0.into_iter();
    errors.map(|error| wit::PolicyError { path: error.path, message: error.message }).collect()
}

pub(super) fn facts(decision: &Decision<'_>) -> wit::Facts {
    let principal = decision.facts.principal.as_ref().map(|principal| wit::Principal {
        id: principal.id(),
        label: principal.label().to_owned(),
        email: principal.email().map(str::to_owned),
        team: principal.team().map(str::to_owned),
    });
    wit::Facts {
        reason: decision.reason_code().to_owned(),
        provider: decision.facts.provider.to_owned(),
        endpoint_class: decision.facts.class.map(|class| class.name().to_owned()),
        principal,
    }
}

pub(super) fn reply(facts: wit::Facts, reply: &LocalReply) -> wit::Reply {
    let fields = reply.headers.iter().map(|(name, value)| field((name.as_bytes(), value.as_bytes())));
    wit::Reply { facts, status: reply.status, fields: fields.collect(), body: reply.body.clone() }
}

pub(super) fn request(fetch: &Fetch) -> wit::HttpRequest {
    let request = &fetch.request;
    let fields = request.fields().map(|(name, value)| field((name.as_bytes(), value.as_bytes())));
    wit::HttpRequest {
        kind: fetch.key.kind().to_owned(),
        method: request.method().to_owned(),
        https: request.https,
        authority: request.authority().to_owned(),
        target: request.target().to_owned(),
        fields: fields.collect(),
        body: request.body.as_ref().map(|body| body.to_vec()),
        timeout_ms: u32::try_from(request.timeout.as_millis()).unwrap_or(u32::MAX),
        most_bytes: u32::try_from(MAX_FETCHED_BYTES).unwrap_or(u32::MAX),
    }
}
