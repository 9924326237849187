//! The policy under test: as written, but generated tokens and a generated key replace the real ones, which are unknown
//! here.

use std::collections::BTreeSet;

use keyswap_core::base::Digest;
use keyswap_core::identity::jwt::{Issuer, KeySource};
use keyswap_core::policy::{Policy, PolicyErrors};
use serde_json::{Map, Value, json};

use super::stand_in_key::{ALGORITHM, StandInKey};
use crate::format::{Suite, SuiteError, SuiteErrors};
use crate::text;

/// A binding may name a token by that many digits of its SHA-256.
const ID_DIGITS: usize = 16;

/// Reads the policy with the replacements that the cases need. Returns it with the names of the issuers whose keys are
/// replaced.
pub(super) fn read(
    mut document: Value,
    suite: &Suite,
    key: &StandInKey,
) -> Result<(Policy, BTreeSet<String>), SuiteErrors> {
    // The policy must hold as written, too.
    let policy = parse(&document)?;
    let mut errors = Vec::new();
    let (mut names, mut replaced) = (BTreeSet::new(), BTreeSet::new());
    for (index, case) in suite.cases.iter().enumerate() {
        for label in case.request.labels() {
            if replaced.contains(&label) {
                continue;
            }
            match replace_token(&mut document, &label) {
                Ok(()) => _ = replaced.insert(label),
                Err(message) => errors.push(SuiteError::at(format!("cases[{index}].request"), message)),
            }
        }
        let Some(identity) = &case.identity else { continue };
        match policy.issuers().iter().find(|issuer| issuer.name() == identity.issuer) {
            Some(issuer) => _ = names.insert(issuer.name().to_owned()),
            None => errors.push(SuiteError::at(
                format!("cases[{index}].identity.issuer"),
                "the policy has no issuer of this name",
            )),
        }
    }
    if !errors.is_empty() {
        return Err(SuiteErrors(errors));
    }
    for issuer in policy.issuers().iter().filter(|issuer| names.contains(issuer.name())) {
        replace_keys(&mut document, issuer, key);
    }
    // The answers of the registry stand in the cases, which nobody signs.
    if let Some(registry) = document.get_mut("registry").and_then(Value::as_object_mut) {
        registry.remove("keys");
    }
    Ok((parse(&document)?, names))
}

fn parse(document: &Value) -> Result<Policy, PolicyErrors> {
    Policy::from_json(document.to_string().as_bytes())
}

/// Gives the record with this label or SHA-256 the digest of the generated token.
fn replace_token(document: &mut Value, name: &str) -> Result<(), &'static str> {
    let digest = Digest::of(text::stand_in(name).as_bytes()).to_hex();
    let tokens = document.get_mut("tokens").and_then(Value::as_array_mut);
    let is_named = |token: &&mut Value| {
        let text = |member: &str| token.get(member).and_then(Value::as_str).map_or("", str::trim);
        // A case before this one may have replaced the digest.
        text("label") == name || text("sha256").eq_ignore_ascii_case(name) || text("sha256") == digest
    };
    let mut found = tokens.into_iter().flatten().filter(is_named);
    let token = found.next().ok_or("the policy has no token with this label or SHA-256")?;
    if found.next().is_some() {
        return Err("the policy has more than one token with this label: name it by its SHA-256");
    }
    if let Some(members) = token.as_object_mut() {
        let written = members.insert("sha256".to_owned(), digest.clone().into());
        replace_bindings(document, written.as_ref().and_then(Value::as_str).unwrap_or_default(), &digest);
    }
    Ok(())
}

/// Has the generated token every binding of the token that it replaces.
fn replace_bindings(document: &mut Value, written: &str, generated: &str) {
    let providers = document.get_mut("providers").and_then(Value::as_object_mut);
    for provider in providers.into_iter().flat_map(Map::values_mut) {
        let Some(tokens) = provider.pointer_mut("/bindings/tokens").and_then(Value::as_object_mut) else {
            continue;
        };
        for name in [written.get(..ID_DIGITS).unwrap_or_default(), written] {
            if let Some(credential) = tokens.remove(name) {
                tokens.insert(generated.to_owned(), credential);
            }
        }
    }
}

/// Has the issuer sign as the generated key does. Keys in the policy are replaced here, others when they are fetched.
fn replace_keys(document: &mut Value, issuer: &Issuer, key: &StandInKey) {
    let issuers = document.get_mut("issuers").and_then(Value::as_array_mut);
    let has_name = |entry: &&mut Value| entry.get("name").and_then(Value::as_str) == Some(issuer.name());
    let Some(members) = issuers.into_iter().flatten().find(has_name).and_then(Value::as_object_mut) else {
        return;
    };
    members.insert("algorithms".to_owned(), json!([ALGORITHM]));
    if let KeySource::Inline(_) = issuer.keys() {
        members.insert("jwks".to_owned(), json!({"inline": key.key_set(issuer)}));
    }
}
