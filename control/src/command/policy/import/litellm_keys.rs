//! The virtual keys of a LiteLLM proxy, from its API or its database, identified by their SHA-256.

use std::collections::BTreeSet;

use keyswap_core::base::{Digest, UnixTime};
use keyswap_core::limit::RateLimit;
use serde_json::{Value, json};

use super::draft::{Draft, Token};
use super::litellm_models::Models;

/// Limits of LiteLLM that a policy does not have. A key is imported without them.
const UNCOUNTED: [&str; 7] = [
    "max_budget",
    "soft_budget",
    "tpm_limit",
    "max_parallel_requests",
    "model_max_budget",
    "budget_id",
    "team_id",
];
/// Restrictions of LiteLLM that a policy does not have. A key with one is imported as disabled: without the restriction
/// it would permit more than before.
const RESTRICTING: [&str; 4] = ["allowed_routes", "permissions", "guardrails", "allowed_cache_controls"];
/// Model names that stand for every model.
const EVERYTHING: [&str; 2] = ["all-proxy-models", "*"];

/// Adds every key in the documents to the draft.
pub(super) fn read(documents: &[Value], models: &Models, widen: bool, draft: &mut Draft) {
    for document in documents {
        match document {
            Value::Array(items) => add_all(items, "", models, widen, draft),
            Value::Object(members) => match (members.get("keys"), members.get("info")) {
                (Some(Value::Array(items)), _) => add_all(items, "keys", models, widen, draft),
                // `GET /key/info` returns the key beside `info`.
                (_, Some(info)) => add(info, members.get("key"), "info", models, widen, draft),
                _ => add(document, None, "", models, widen, draft),
            },
            _ => draft.note("keys", "not a key or a list of keys: left out"),
        }
    }
}

fn add_all(items: &[Value], path: &str, models: &Models, widen: bool, draft: &mut Draft) {
    for (index, item) in items.iter().enumerate() {
        add(item, None, &format!("{path}[{index}]"), models, widen, draft);
    }
}

fn add(key: &Value, beside: Option<&Value>, path: &str, models: &Models, widen: bool, draft: &mut Draft) {
    let text = |name: &str| key.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let place = match text("key_alias") {
        Some(alias) => format!("{path} ({alias})"),
        None => path.to_owned(),
    };
    if key.is_string() {
        return draft.note(&place, "hash without a record: list the keys with `return_full_object=true`");
    }
    let Some(digest) = text("token").or_else(|| beside?.as_str()).map(digest) else {
        return draft.note(&place, "no `token`: left out");
    };
    let (providers, is_restricted) = scope(key, models, &place, widen, draft);
    if providers.is_empty() {
        return draft.note(&place, "no model of an imported provider: left out");
    }
    let mut token = Token::new(&digest, text("key_alias").unwrap_or_default(), providers);
    token.owner = [text("user_email"), text("user_id")]
        .into_iter()
        .flatten()
        .find(|it| it.contains('@'))
        .map(str::to_owned);
    token.rate_limit = rate_limit(key, &place, draft);
    let expiry = expiry(text("expires"), &place, draft);
    let is_blocked = key.get("blocked").is_some_and(|it| *it == true);
    let is_other = text("key_type").is_some_and(|kind| kind != "llm_api" && kind != "default");
    if is_other {
        draft.note(&place, "a key for administering LiteLLM: disabled");
    }
    let is_narrower = notes(key, &place, draft);
    if is_restricted || is_blocked || is_other || is_narrower || expiry.is_err() {
        token.disable();
    }
    token.expires_at = expiry.unwrap_or_default();
    draft.add(&place, token);
}

/// Returns the digest of a `token`: the value itself if it is a SHA-256, else the SHA-256 of the plain key.
fn digest(token: &str) -> Digest {
    Digest::from_hex(&token.to_ascii_lowercase()).unwrap_or_else(|| Digest::of(token.as_bytes()))
}

/// Returns the providers of a key's models, and true if the key is restricted to some of their models.
fn scope(key: &Value, models: &Models, place: &str, widen: bool, draft: &mut Draft) -> (Vec<String>, bool) {
    let names: Vec<&str> = list(key, "models").filter_map(Value::as_str).collect();
    if names.is_empty() || names.iter().any(|name| EVERYTHING.contains(name)) {
        return (models.providers(), false);
    }
    let mut providers = BTreeSet::new();
    for name in &names {
        match models.of(name) {
            Some(of_model) => providers.extend(of_model),
            None => draft.note(place, format!("the model `{name}` belongs to no imported provider")),
        }
    }
    let whole = |name: &&str| name.ends_with("/*");
    let is_restricted = !names.iter().all(whole) && !widen;
    if is_restricted {
        draft.note(
            place,
            "restricted to models, which a policy cannot express: disabled; `--widen-models` allows all models of their \
             providers",
        );
    }
    (providers.into_iter().collect(), is_restricted)
}

fn rate_limit(key: &Value, place: &str, draft: &mut Draft) -> Option<Value> {
    let requests = key.get("rpm_limit").filter(|it| !it.is_null())?;
    let requests = requests.as_u64().or_else(|| requests.as_str()?.parse().ok());
    let fits = requests.and_then(|it| RateLimit::new(u32::try_from(it).ok()?, 60));
    if fits.is_none() {
        draft.note(place, "`rpm_limit` is not a valid rate limit: left out");
    }
    fits.map(|limit| json!({"requests": limit.requests(), "per": "60s"}))
}

/// Returns the expiry in UTC, `None` if the key has none; an error if the text is not a time.
fn expiry(text: Option<&str>, place: &str, draft: &mut Draft) -> Result<Option<String>, ()> {
    let Some(text) = text else { return Ok(None) };
    let iso = text.trim().replacen(' ', "T", 1);
    // Times from the database are in UTC and have no offset.
    let time = UnixTime::from_rfc3339(&iso).or_else(|| UnixTime::from_rfc3339(&format!("{iso}Z")));
    if time.is_none() {
        draft.note(place, "`expires` is not a time: disabled");
    }
    time.map(|time| Some(time.to_string())).ok_or(())
}

/// Notes the fields that are not imported. Returns true if one of them is a restriction.
fn notes(key: &Value, place: &str, draft: &mut Draft) -> bool {
    let has = |name: &&&str| key.get(**name).is_some_and(|value| !is_empty(value));
    for name in UNCOUNTED.iter().filter(has) {
        draft.note(place, format!("`{name}` is not imported"));
    }
    let restricting: Vec<&str> = RESTRICTING.iter().filter(has).copied().collect();
    for name in &restricting {
        draft.note(place, format!("`{name}` is a restriction that a policy cannot express: disabled"));
    }
    !restricting.is_empty()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}
