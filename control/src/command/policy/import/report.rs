//! The report at the end of an import: the keys by their state, and what is left to do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::token::Token;

/// The greatest number of reasons in the report. Every key has its line in any case.
const MAX_REASONS: usize = 10;

/// Returns the lines of the report. `left_out` counts keys by the reason, `policy` is the document that is written.
pub(super) fn lines(tokens: &[Token], left_out: &BTreeMap<String, usize>, policy: &Value) -> Vec<String> {
    let disabled = tokens.iter().filter(|token| !token.reasons().is_empty()).count();
    let active = tokens.len().saturating_sub(disabled);
    let total: usize = left_out.values().sum();
    let mut lines = vec![format!("tokens: {active} active, {disabled} disabled, {total} left out")];
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for reason in tokens.iter().flat_map(|token| token.reasons().iter().collect::<BTreeSet<_>>()) {
        let count = reasons.entry(reason.clone()).or_default();
        *count = count.saturating_add(1);
    }
    lines.extend(counted("disabled", &reasons));
    lines.extend(counted("left out", left_out));
    let credentials = members(policy, "credentials");
    let scopes = tokens.iter().flat_map(|token| token.providers.iter().map(String::as_str));
    let providers: BTreeSet<&str> = credentials
        .clone()
        .map(|(name, _)| name.as_str())
        .filter(|name| is_provider(policy, name))
        .chain(scopes)
        .collect();
    lines.push(format!("providers: {}", listed(&providers)));
    let sources = credentials.flat_map(|(_, sources)| sources.as_array().into_iter().flatten());
    let variables: BTreeSet<&str> = sources
        .chain(policy.pointer("/registry/credential"))
        .filter_map(|source| source.get("env").and_then(Value::as_str))
        .collect();
    lines.push(format!("variables to set: {}", listed(&variables)));
    lines
}

/// Returns a line for each reason, the most frequent first.
fn counted(state: &str, reasons: &BTreeMap<String, usize>) -> Vec<String> {
    let mut sorted: Vec<(&String, &usize)> = reasons.iter().collect();
    sorted.sort_by(|one, other| other.1.cmp(one.1));
    let rest = sorted.len().saturating_sub(MAX_REASONS);
    let lines =
        sorted.into_iter().take(MAX_REASONS).map(|(reason, count)| format!("{state}: {count}: {reason}"));
    let rest = (rest > 0).then(|| format!("{state}: {rest} more reasons: see the lines above"));
    lines.chain(rest).collect()
}

/// Returns whether a credential has the name of a provider. Further credentials of a provider have names of their own.
fn is_provider(policy: &Value, credential: &str) -> bool {
    members(policy, "providers").all(|(provider, entry)| {
        let pool = entry.get("credentials").and_then(Value::as_object);
        provider == credential || pool.is_none_or(|pool| !pool.contains_key(credential))
    })
}

fn members<'p>(policy: &'p Value, name: &str) -> impl Iterator<Item = (&'p String, &'p Value)> + Clone {
    policy.get(name).and_then(Value::as_object).into_iter().flatten()
}

fn listed(names: &BTreeSet<&str>) -> String {
    if names.is_empty() { "none".to_owned() } else { names.iter().copied().collect::<Vec<_>>().join(", ") }
}
