//! Issuers in the outline of a policy: their fields with those of the preset in place.

use serde_json::{Map, Value, json};

use super::limits_outline::{budget, limit};
use super::outline_words::{duration, key_set, lists, plaintext};
use crate::identity::jwt::{
    Algorithm, ClaimValue, Given, Issuer, IssuerRule, KeySource, Principals, Subjects,
};
use crate::identity::{CertificateAuthority, CertificateSubjects, Scope};

pub(super) fn issuer(issuer: &Issuer) -> Value {
    let (services, email, unverified_email) = match &issuer.subjects {
        Subjects::CloudflareAccess { service_tokens } => (json!(service_tokens), None, None),
        Subjects::Registry => (json!([]), None, None),
        Subjects::OpenId { email, takes_unmarked_email } => {
            let unverified = if *takes_unmarked_email { "allow" } else { "refuse" };
            (json!([]), Some(email), Some(unverified))
        }
    };
    let mut outline = json!({
        "issuer": issuer.url(),
        "tenants": issuer.tenants().collect::<Vec<_>>(),
        "audiences": issuer.audiences(),
        "audience_claim": issuer.audience_claim(),
        "claims": claims(issuer.required_claims()),
        "clock_skew": duration(issuer.clock_skew()),
        "algorithms": issuer.algorithms().iter().map(|it| Algorithm::name(*it)).collect::<Vec<_>>(),
        "names_keys": issuer.names_keys,
        "service_tokens": services,
        "email_claim": email,
        "unverified_email": unverified_email,
        "max_token_bytes": issuer.longest,
        "principals": if issuer.principals() == Principals::Any { "any" } else { "known" },
        "slots": issuer.slots().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "jwks": keys(issuer.keys()),
    });
    if let Some(members) = outline.as_object_mut() {
        members.extend(all_rights(issuer.rights()));
    }
    outline
}

/// Returns an authority of client certificates.
pub(super) fn authority(authority: &CertificateAuthority) -> Value {
    let subjects = match &authority.subjects {
        CertificateSubjects::TrustDomain(domain) => ("trust_domain".to_owned(), json!(domain)),
        CertificateSubjects::DnsNames(names) => ("dns_names".to_owned(), json!(names)),
    };
    Value::Object([subjects].into_iter().chain(all_rights(authority.rights())).collect())
}

/// Returns the rights of all subjects, or the rules.
fn all_rights(all: &[IssuerRule]) -> Map<String, Value> {
    let of_rule = |rule: &IssuerRule| {
        Value::Object(
            [("when".to_owned(), claims(&rule.when).into())].into_iter().chain(rights(rule)).collect(),
        )
    };
    match all {
        [all] if all.when.is_empty() => rights(all),
        rules => [("rules".to_owned(), rules.iter().map(of_rule).collect())].into_iter().collect(),
    }
}

fn claims(claims: &[(String, Vec<ClaimValue>)]) -> Map<String, Value> {
    let claim = |(name, values): &(String, Vec<ClaimValue>)| {
        let values = values.iter().map(|value| match value {
            ClaimValue::Text(text) | ClaimValue::Glob(text) => json!(text),
            ClaimValue::Flag(flag) => json!(flag),
        });
        (name.clone(), values.collect())
    };
    claims.iter().map(claim).collect()
}

fn rights(rule: &IssuerRule) -> Map<String, Value> {
    let given = |given: &Given| match given {
        Given::Name(name) => json!(name),
        Given::Claim(claim) => json!({"claim": claim}),
    };
    let members: [(&str, Value); 6] = [
        ("providers", rule.scope().map(Scope::entries).into()),
        ("models", lists(rule.models())),
        ("rate_limit", rule.rate_limit().map(limit).into()),
        ("budget", rule.budget().map(|it| budget(it)).into()),
        ("team", rule.team.as_ref().map(given).into()),
        ("label", rule.label.as_ref().map(given).into()),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn keys(source: &KeySource) -> Value {
    let (kind, remote) = match source {
        KeySource::Inline(set) => return json!({"inline": key_set(set)}),
        KeySource::Jwks(remote) => ("url", remote),
        KeySource::Discovery(remote) => ("discovery", remote),
    };
    json!({
        kind: remote.endpoint.to_string(),
        "plaintext": plaintext(remote.endpoint.is_exposed()),
        "cluster": remote.cluster,
        "timeout": duration(remote.timeout),
        "cache_duration": duration(remote.cache_duration),
        "stale_if_error": duration(remote.stale_if_error),
        "refetch_cooldown": duration(remote.refetch_cooldown),
    })
}
