//! The policy under test: as it stands, but that made-up tokens and keys stand for those that are not known here.

use std::collections::BTreeSet;

use keyswap_core::base::Digest;
use keyswap_core::identity::jwt::{Issuer, KeySource};
use keyswap_core::policy::Policy;
use serde_json::{Value, json};

use super::issuer::{ALGORITHM, StandInKey};
use super::suite::{Case, Problem, Request, Suite};
use super::template;

/// Reads the policy with what stands in.
pub(super) fn read(
    mut document: Value,
    suite: &Suite,
    key: &StandInKey,
) -> Result<(Policy, BTreeSet<String>), Vec<Problem>> {
    // As it stands it must hold, too.
    let policy = parse(&document)?;
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for (index, case) in suite.cases.iter().enumerate() {
        for label in case.labels() {
            if let Err(message) = stand_in_for_token(&mut document, &label) {
                problems.push(Problem::at(format!("cases[{index}].request"), message));
            }
        }
        let Some(identity) = &case.identity else { continue };
        match policy.issuers().iter().find(|issuer| issuer.name() == identity.issuer) {
            Some(issuer) => _ = names.insert(issuer.name().to_owned()),
            None => problems.push(Problem::at(
                format!("cases[{index}].identity.issuer"),
                "the policy has no issuer of this name",
            )),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    for issuer in policy.issuers().iter().filter(|issuer| names.contains(issuer.name())) {
        stand_in_for_keys(&mut document, issuer, key);
    }
    Ok((parse(&document)?, names))
}

fn parse(document: &Value) -> Result<Policy, Vec<Problem>> {
    Policy::from_json(document.to_string().as_bytes()).map_err(Problem::of_policy)
}

/// Gives the record with this label the digest of the token that stands for it.
fn stand_in_for_token(document: &mut Value, label: &str) -> Result<(), &'static str> {
    let tokens = document.get_mut("tokens").and_then(Value::as_array_mut);
    let has_label =
        |token: &&mut Value| token.get("label").and_then(Value::as_str).is_some_and(|it| it.trim() == label);
    let mut found = tokens.into_iter().flatten().filter(has_label);
    let token = found.next().ok_or("the policy has no token with this label")?;
    if found.next().is_some() {
        return Err("the policy has more than one token with this label");
    }
    if let Some(members) = token.as_object_mut() {
        let digest = Digest::of(template::stand_in(label).as_bytes()).to_hex();
        members.insert("sha256".to_owned(), digest.into());
    }
    Ok(())
}

/// Has the issuer sign as the key does. Keys in the policy are replaced here, others when they are fetched.
fn stand_in_for_keys(document: &mut Value, issuer: &Issuer, key: &StandInKey) {
    let issuers = document.get_mut("issuers").and_then(Value::as_array_mut);
    let is_it = |entry: &&mut Value| entry.get("name").and_then(Value::as_str) == Some(issuer.name());
    let Some(members) = issuers.into_iter().flatten().find(is_it).and_then(Value::as_object_mut) else {
        return;
    };
    members.insert("algorithms".to_owned(), json!([ALGORITHM]));
    if let KeySource::Inline(_) = issuer.keys() {
        members.insert("jwks".to_owned(), json!({"inline": key.key_set()}));
    }
}

impl Case {
    /// The labels whose tokens its request has.
    fn labels(&self) -> Vec<String> {
        match &self.request {
            Request::Text(text) => template::labels(text),
            Request::Parts(parts) => {
                let values = parts.headers.0.iter().map(|(_, value)| value);
                values.chain([&parts.target]).flat_map(|text| template::labels(text)).collect()
            }
        }
    }

    /// Whether its request says where the JWT stands.
    pub(super) fn places_identity(&self) -> bool {
        match &self.request {
            Request::Text(text) => template::asks_for_identity(text),
            Request::Parts(parts) => {
                let mut values = parts.headers.0.iter().map(|(_, value)| value).chain([&parts.target]);
                values.any(|text| template::asks_for_identity(text))
            }
        }
    }
}
