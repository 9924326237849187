//! Records of new tokens, in the form of a policy's `tokens`.
//!
//! The engine's rules apply: a draft is read as part of a small policy, and the errors are reworded for the command
//! line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use keyswap_core::base::{Digest, UnixTime};
use keyswap_core::policy::{Policy, PolicyError};
use keyswap_core::provider::is_of_gateway;
use serde::Serialize;
use serde_json::{Value, json};

/// A new token, before validation.
pub(crate) struct Draft {
    pub(crate) label: String,
    pub(crate) owner: Option<String>,
    pub(crate) team: Option<String>,
    pub(crate) providers: Vec<String>,
    pub(crate) expires_at: Option<String>,
    pub(crate) certificate: Option<Digest>,
}

/// The record of a token, without the token.
#[derive(Clone, Serialize)]
pub(crate) struct PolicyToken {
    pub(crate) sha256: String,
    pub(crate) label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) team: Option<String>,
    pub(crate) providers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate_sha256: Option<String>,
}

/// All errors of a draft, worded for the command line. `Display` writes one a line.
#[derive(Debug)]
pub(crate) struct DraftErrors(Vec<DraftError>);

/// An error in a field of a draft.
#[derive(Debug)]
pub(crate) struct DraftError {
    pub(crate) field: Field,
    pub(crate) message: String,
}

/// The field that is invalid or missing.
#[derive(Debug)]
pub(crate) enum Field {
    NoLabel,
    Label,
    Owner,
    Team,
    NoProviders,
    Provider(String),
    ExpiresAt,
    Other(String),
    /// Another place of the small policy. The message names the place.
    Elsewhere,
}

impl PolicyToken {
    pub(crate) fn new(digest: Digest, draft: Draft) -> Result<Self, DraftErrors> {
        let mut seen = BTreeSet::new();
        let is_new = |provider: &String| seen.insert(provider.clone());
        let record = Self {
            sha256: digest.to_hex(),
            label: draft.label.trim().to_owned(),
            owner: draft.owner.map(|owner| owner.trim().to_owned()),
            team: draft.team.map(|team| team.trim().to_owned()),
            providers: draft.providers.into_iter().filter(is_new).collect(),
            // Times are stored in UTC. A text that is not a time is refused below.
            expires_at: draft
                .expires_at
                .map(|text| UnixTime::from_rfc3339(&text).map_or(text, |time| time.to_string())),
            certificate_sha256: draft.certificate.map(|digest| digest.to_hex()),
        };
        match Policy::from_json(record.policy().to_string().as_bytes()) {
            Ok(_) => Ok(record),
            Err(errors) => Err(DraftErrors(errors.0.into_iter().map(|error| record.error(error)).collect())),
        }
    }

    /// Returns the record as an item of the list `tokens` in a policy.
    pub(crate) fn to_yaml(&self) -> anyhow::Result<String> {
        let item = serde_saphyr::to_string(&[self])?;
        let lines: Vec<String> = item.lines().map(|line| format!("  {line}")).collect();
        Ok(lines.join("\n"))
    }

    /// Returns the smallest policy with this token. Its providers have placeholder URLs, since the real policy may
    /// define any.
    fn policy(&self) -> Value {
        let scope: Vec<String> = self.providers.iter().map(|entry| in_any_policy(entry)).collect();
        let names = scope.iter().map(|entry| entry.split(':').next().unwrap_or_default());
        let provider = json!({"url": "https://provider.invalid", "credential": "upstream"});
        let providers: BTreeMap<&str, &Value> =
            names.filter(|name| *name != STATUS).map(|name| (name, &provider)).collect();
        let credentials =
            if providers.is_empty() { json!({}) } else { json!({"upstream": [{"env": "KEY"}]}) };
        let token = Self { providers: scope.clone(), ..self.clone() };
        json!({
            "version": "keyswap/v1",
            "credentials": credentials,
            "providers": providers,
            "status": {"allow": ["tokens"]},
            "broker": {"key": {"env": "BROKER_KEY"}},
            "tokens": [token],
        })
    }

    fn error(&self, error: PolicyError) -> DraftError {
        let field = match error.path.strip_prefix("tokens[0].") {
            Some("label") if self.label.is_empty() => Field::NoLabel,
            Some("label") => Field::Label,
            Some("owner") => Field::Owner,
            Some("team") => Field::Team,
            Some("providers") => Field::NoProviders,
            Some("expires_at") => Field::ExpiresAt,
            Some(field) => match self.entry_at(field) {
                Some(entry) => Field::Provider(entry.to_owned()),
                None => Field::Other(field.to_owned()),
            },
            None => match error.path.strip_prefix("providers.") {
                Some(name) => Field::Provider(name.to_owned()),
                None => return DraftError { field: Field::Elsewhere, message: error.to_string() },
            },
        };
        DraftError { field, message: error.message }
    }
}

impl PolicyToken {
    /// Returns the entry of the scope at a place such as `providers[0]`.
    fn entry_at(&self, place: &str) -> Option<&str> {
        let index = place.strip_prefix("providers[")?.strip_suffix(']')?;
        self.providers.get(index.parse::<usize>().ok()?).map(String::as_str)
    }
}

/// The entry of a scope that allows the status.
const STATUS: &str = "keyswap-status";

/// Returns an entry of a scope in a form that any policy may have: endpoints of gateways are only in policies with such a
/// gateway.
fn in_any_policy(entry: &str) -> String {
    let name = entry.split(':').next().unwrap_or_default();
    if is_of_gateway(name) { format!("gateway-endpoint-{entry}") } else { entry.to_owned() }
}

impl DraftErrors {
    /// Returns the first error in the order of the fields.
    pub(crate) fn first(&self) -> Option<&DraftError> {
        self.0.iter().min_by_key(|error| match error.field {
            Field::NoLabel | Field::Label => 0,
            Field::Owner | Field::Team => 1,
            Field::NoProviders | Field::Provider(_) => 2,
            Field::ExpiresAt => 3,
            Field::Other(_) | Field::Elsewhere => 4,
        })
    }
}

impl fmt::Display for DraftErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for DraftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = &self.message;
        match &self.field {
            Field::NoLabel => f.write_str("label is required: name the token with `--label`"),
            Field::NoProviders => f.write_str("pick at least one provider: name it with `--provider`"),
            Field::Label => write!(f, "invalid label: {message}"),
            Field::Owner => write!(f, "invalid owner: {message}"),
            Field::Team => write!(f, "invalid team: {message}"),
            Field::ExpiresAt => write!(f, "invalid expiry: {message}"),
            Field::Provider(name) => write!(f, "invalid provider `{name}`: {message}"),
            Field::Other(field) => write!(f, "invalid {field}: {message}"),
            Field::Elsewhere => f.write_str(message),
        }
    }
}

impl std::error::Error for DraftErrors {}

impl std::error::Error for DraftError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(providers: &[&str]) -> Result<PolicyToken, DraftErrors> {
        let draft = Draft {
            label: "a".to_owned(),
            owner: None,
            team: None,
            providers: providers.iter().map(|name| (*name).to_owned()).collect(),
            expires_at: None,
            certificate: None,
        };
        PolicyToken::new(Digest::of(b""), draft)
    }

    #[test]
    fn a_scope_that_a_policy_could_have_is_kept_as_it_is() {
        for scope in [
            &["openai"][..],
            &["openai", "openai:files", "my-own:*"],
            &["openai:*", "openai:mint", "grok:mint", "my-own:mint"],
            &["compat", "universal", "cloudflare-rest", "vercel", "compat:files"],
            &["keyswap-status"],
            &["openai", "keyswap-status"],
        ] {
            assert_eq!(record(scope).unwrap().providers, scope);
        }
    }

    #[test]
    fn a_scope_that_no_policy_could_have_is_refused_with_the_reason() {
        for (scope, expect) in [
            (&["openai:admin"][..], "invalid provider `openai:admin`: `admin` cannot be opened: "),
            (
                &["openai", "anthropic:mint"],
                "invalid provider `anthropic:mint`: `anthropic` has no endpoint that mints and whose answer",
            ),
            (&["openai:file"], "invalid provider `openai:file`: no such class of endpoints; expected one of"),
            (
                &["keyswap-status:files"],
                "invalid provider `keyswap-status:files`: expected `keyswap-status` alone",
            ),
            (
                &["openai:*", "openai:files"],
                "invalid provider `openai:files`: this provider stands twice in the list",
            ),
            (&["Open AI"], "invalid provider `\"Open AI\"`: expected a name of lower-case letters"),
            (&[], "pick at least one provider"),
        ] {
            let error = record(scope).err().unwrap().to_string();
            assert!(error.starts_with(expect), "{scope:?}: {error}");
        }
    }

    #[test]
    fn a_digest_that_looks_like_a_number_stays_text() {
        for hex in ["1".repeat(64), format!("{}e5", "1".repeat(62)), format!("0b{}", "0".repeat(62))] {
            let draft = Draft {
                label: "a".to_owned(),
                owner: None,
                team: None,
                providers: vec!["openai".to_owned()],
                expires_at: None,
                certificate: None,
            };
            let record = PolicyToken::new(Digest::from_hex(&hex).unwrap(), draft).unwrap();
            let read = crate::text::yaml::parse(record.to_yaml().unwrap().as_bytes()).unwrap();
            assert_eq!(read, json!([record]));
        }
    }
}
