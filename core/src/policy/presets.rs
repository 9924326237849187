//! The presets of identity providers, as data: the fields that an entry has where it does not say otherwise.
//!
//! An entry with such a preset is one with `preset: oidc` and these fields, and is judged as that. Nothing in the engine knows a
//! provider by its name. Each row is made from the provider's own documents, which `docs/policies/issuers.md` names.

use serde_json::{Map, Value};

use crate::syntax::json;

/// A preset of an identity provider.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// The fields, as JSON.
    fields: &'static str,
    pub(super) known_by: KnownBy,
    /// Set where anyone can have the provider make a token for any audience.
    pub(super) is_public: bool,
    /// The claims that tell the provider's customers apart, each with the form of its values, a glob. A value that is a glob itself
    /// must have the form before its first star. Where no form is given, only a whole value tells a customer.
    pub(super) customers: &'static [(&'static str, &'static str)],
    /// The audiences of tokens that were made for another service, as globs.
    pub(super) others: &'static [&'static str],
}

/// The field by which an entry says whose tokens it takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KnownBy {
    /// `issuer`, with this form: a glob, and an example of it.
    Issuer(&'static str, &'static str),
    /// `tenants`, for which `issuer` has a place.
    Tenants,
    /// `trust_domain`.
    TrustDomain,
}

const ANY_URL: KnownBy = KnownBy::Issuer("*", "");

/// The presets, in the order of the documents.
pub(super) static ROWS: [Row; 12] = [
    Row {
        name: "kubernetes",
        fields: r#"{"algorithms": ["RS256", "ES256", "ES384"], "principals": "any"}"#,
        known_by: ANY_URL,
        is_public: false,
        customers: &[
            ("/kubernetes.io/namespace", ""),
            ("/kubernetes.io/serviceaccount/uid", ""),
            ("sub", "system:serviceaccount:*:*"),
        ],
        // The API server takes such a token, too.
        others: &["{issuer}", "https://kubernetes.default.svc*"],
    },
    Row {
        name: "github_actions",
        fields: r#"{"issuer": "https://token.actions.githubusercontent.com", "algorithms": ["RS256"], "principals": "any",
            "label": {"claim": "repository"}}"#,
        known_by: ANY_URL,
        is_public: true,
        // A reusable workflow (`job_workflow_ref`) may be called from anywhere.
        customers: &[
            ("repository_id", ""),
            ("repository_owner_id", ""),
            ("enterprise_id", ""),
            ("repository", "*/*"),
            ("repository_owner", ""),
            ("sub", "repo:*/*"),
        ],
        // The audience of a token for which none is asked.
        others: &["https://github.com/*"],
    },
    Row {
        name: "gitlab",
        fields: r#"{"issuer": "https://gitlab.com", "algorithms": ["RS256"], "principals": "any",
            "label": {"claim": "project_path"}}"#,
        known_by: ANY_URL,
        is_public: true,
        customers: &[
            ("project_id", ""),
            ("namespace_id", ""),
            ("project_path", "*/*"),
            ("namespace_path", "*/*"),
            ("sub", "project_path:*/*"),
        ],
        others: &["{issuer}"],
    },
    Row {
        name: "google",
        fields: r#"{"issuer": "https://accounts.google.com", "algorithms": ["RS256"], "claims": {"email_verified": [true]},
            "jwks": {"url": "https://www.googleapis.com/oauth2/v3/certs"}}"#,
        known_by: ANY_URL,
        is_public: true,
        customers: &[("hd", ""), ("sub", ""), ("email", "")],
        others: &[],
    },
    Row {
        name: "google_iap",
        fields: r#"{"issuer": "https://cloud.google.com/iap", "algorithms": ["ES256"],
            "slots": ["header:x-goog-iap-jwt-assertion"],
            "jwks": {"url": "https://www.gstatic.com/iap/verify/public_key-jwk"}}"#,
        known_by: ANY_URL,
        is_public: false,
        customers: &[],
        others: &[],
    },
    Row {
        name: "entra",
        fields: r#"{"issuer": "https://login.microsoftonline.com/{tenant}/v2.0", "algorithms": ["RS256"],
            "claims": {"ver": ["2.0"]}, "max_token_bytes": 16384,
            "jwks": {"url": "https://login.microsoftonline.com/common/discovery/v2.0/keys"}}"#,
        known_by: KnownBy::Tenants,
        is_public: false,
        customers: &[],
        others: GRAPH,
    },
    Row {
        name: "entra_v1",
        fields: r#"{"issuer": "https://sts.windows.net/{tenant}/", "algorithms": ["RS256"],
            "claims": {"ver": ["1.0"]}, "max_token_bytes": 16384,
            "jwks": {"url": "https://login.microsoftonline.com/common/discovery/keys"}}"#,
        known_by: KnownBy::Tenants,
        is_public: false,
        customers: &[],
        others: GRAPH,
    },
    Row {
        name: "okta",
        fields: r#"{"algorithms": ["RS256"]}"#,
        // Access tokens of the organization's own server are for Okta alone.
        known_by: KnownBy::Issuer("https://*/oauth2/*", "https://acme.okta.com/oauth2/default"),
        is_public: false,
        customers: &[],
        others: &[],
    },
    Row {
        name: "auth0",
        fields: r#"{"algorithms": ["RS256"]}"#,
        known_by: KnownBy::Issuer("https://*/", "https://acme.eu.auth0.com/"),
        is_public: false,
        customers: &[],
        others: &["{issuer}userinfo", "{issuer}api/v2/"],
    },
    Row {
        name: "keycloak",
        fields: r#"{"algorithms": ["RS256", "ES256"], "claims": {"typ": ["Bearer"]}}"#,
        known_by: KnownBy::Issuer("https://*/realms/*", "https://login.example.com/realms/acme"),
        is_public: false,
        // `azp` says which client asked for a token of the audience that they all have.
        customers: &[],
        others: &["account"],
    },
    Row {
        name: "cognito",
        fields: r#"{"algorithms": ["RS256"], "audience_claim": "client_id", "claims": {"token_use": ["access"]}}"#,
        known_by: KnownBy::Issuer(
            "https://*cognito-idp.*.amazonaws.com*/*",
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
        ),
        is_public: false,
        customers: &[],
        others: &[],
    },
    Row {
        name: "spiffe",
        fields: r#"{"algorithms": ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384"], "principals": "any"}"#,
        known_by: KnownBy::TrustDomain,
        is_public: false,
        customers: &[("sub", "spiffe://*/*/*")],
        others: &["spiffe://*/"],
    },
];

/// The audiences of Microsoft Graph.
const GRAPH: &[&str] = &["https://graph.microsoft.com*", "00000003-0000-0000-c000-000000000000"];

/// The preset of a provider that no row is about.
pub(super) const GENERIC: &str = "oidc";

/// Returns the row of a preset; `None` for one that is no row.
pub(super) fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// Returns the row whose provider has this issuer, whatever the preset of the entry.
pub(super) fn of_issuer(issuer: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.issuer().as_deref() == Some(issuer))
}

/// Returns the fields that an entry with this preset has where it does not say otherwise; `None` for a preset that has a meaning of its
/// own.
pub fn preset_fields(name: &str) -> Option<Map<String, Value>> {
    find(name)?.fields()
}

/// Returns the names of the presets with fields.
pub fn presets() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

impl Row {
    fn fields(&self) -> Option<Map<String, Value>> {
        match json::parse(self.fields.as_bytes()) {
            Ok(Value::Object(fields)) => Some(fields),
            _ => None,
        }
    }

    /// Returns the one issuer of the provider.
    fn issuer(&self) -> Option<String> {
        self.fields()?.get("issuer")?.as_str().map(str::to_owned)
    }
}

/// Returns an entry with the fields of its preset; `None` where its preset has none.
///
/// A field of the entry takes the place of the preset's. Of `claims` and `jwks` each member does, so that a policy changes a timeout
/// and keeps the address. Keys in the policy take the place of an address.
pub(super) fn expand(entry: &Value) -> Option<Value> {
    let mut fields = preset_fields(entry.get("preset")?.as_str()?)?;
    for (name, own) in entry.as_object()? {
        match (fields.get_mut(name), own) {
            (Some(Value::Object(preset)), Value::Object(own))
                if matches!(name.as_str(), "claims" | "jwks") && !own.contains_key("inline") =>
            {
                preset.extend(own.clone());
            }
            _ => _ = fields.insert(name.clone(), own.clone()),
        }
    }
    Some(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_preset_can_be_read() {
        for row in &ROWS {
            let fields = row.fields().unwrap_or_else(|| panic!("{}", row.name));
            assert!(!fields.contains_key("preset") && !fields.contains_key("audiences"), "{}", row.name);
            assert_eq!(row.known_by == KnownBy::Tenants, row.fields.contains("{tenant}"), "{}", row.name);
            assert!(!row.is_public || !row.customers.is_empty(), "{}", row.name);
        }
    }

    #[test]
    fn a_field_of_the_entry_takes_the_place_of_the_presets() {
        let url = "https://login.microsoftonline.com/common/discovery/v2.0/keys";
        let expanded = |more: Value| {
            let mut entry = json!({"preset": "entra"});
            entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            expand(&entry).unwrap()
        };
        for (more, pointer, expect) in [
            (json!({}), "/claims", json!({"ver": ["2.0"]})),
            (json!({"claims": {"scp": ["llm"]}}), "/claims", json!({"ver": ["2.0"], "scp": ["llm"]})),
            (json!({"claims": {"ver": ["1.0"]}}), "/claims", json!({"ver": ["1.0"]})),
            (json!({"claims": null}), "/claims", json!(null)),
            (json!({"algorithms": ["ES256"]}), "/algorithms", json!(["ES256"])),
            (json!({"jwks": {"timeout": "1s"}}), "/jwks", json!({"url": url, "timeout": "1s"})),
            (json!({"jwks": {"inline": {}}}), "/jwks", json!({"inline": {}})),
            (json!({"jwks": {"url": "https://a"}}), "/jwks/url", json!("https://a")),
            (json!({"max_token_bytes": 4096}), "/max_token_bytes", json!(4096)),
        ] {
            assert_eq!(expanded(more.clone()).pointer(pointer), Some(&expect), "{more}");
        }
        for entry in [json!({"preset": "oidc"}), json!({"preset": 7}), json!({}), json!([])] {
            assert_eq!(expand(&entry), None);
        }
    }
}
