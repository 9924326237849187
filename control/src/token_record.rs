//! Records of new tokens, in the shape that a policy has them.
//!
//! The rules are the engine's: a draft is read as part of a small policy, and its errors are told in the words of
//! the command line.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use keyswap_core::{Policy, PolicyError, TokenDigest, UnixTime};
use serde::Serialize;
use serde_json::{Value, json};

/// What somebody asks for.
pub(crate) struct Draft {
    pub(crate) label: String,
    pub(crate) owner: Option<String>,
    pub(crate) providers: Vec<String>,
    pub(crate) expires_at: Option<String>,
}

/// What is kept of a token: the token itself is not in it.
#[derive(Serialize)]
pub(crate) struct TokenRecord {
    pub(crate) sha256: String,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    providers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl TokenRecord {
    /// The record, or all that is wrong with the draft, one a line.
    pub(crate) fn new(digest: TokenDigest, draft: Draft) -> anyhow::Result<Self> {
        let mut seen = BTreeSet::new();
        let is_new = |provider: &String| seen.insert(provider.clone());
        let record = Self {
            sha256: digest.to_hex(),
            label: draft.label.trim().to_owned(),
            owner: draft.owner.map(|owner| owner.trim().to_owned()),
            providers: draft.providers.into_iter().filter(is_new).collect(),
            // In UTC, as every time of ours is shown; what is no time stays, and is refused below.
            expires_at: draft
                .expires_at
                .map(|text| UnixTime::from_rfc3339(&text).map_or(text, |time| time.to_string())),
        };
        if let Err(errors) = Policy::from_json(record.policy().to_string().as_bytes()) {
            let lines: Vec<String> = errors.0.iter().map(|error| record.words(error)).collect();
            bail!(lines.join("\n"));
        }
        Ok(record)
    }

    /// The record as an item of the list `tokens` in a policy.
    pub(crate) fn to_yaml(&self) -> anyhow::Result<String> {
        let item = serde_saphyr::to_string(&[self])?;
        let lines: Vec<String> = item.lines().map(|line| format!("  {line}")).collect();
        Ok(lines.join("\n"))
    }

    /// The smallest policy that has this token and its providers, wherever they may be.
    fn policy(&self) -> Value {
        let provider = json!({"url": "https://provider.invalid", "credential": "upstream"});
        let providers: BTreeMap<&str, &Value> =
            self.providers.iter().map(|name| (name.as_str(), &provider)).collect();
        let credentials =
            if providers.is_empty() { json!({}) } else { json!({"upstream": [{"env": "KEY"}]}) };
        json!({
            "version": "keyswap/v1",
            "credentials": credentials,
            "providers": providers,
            "tokens": [self],
        })
    }

    fn words(&self, error: &PolicyError) -> String {
        let message = &error.message;
        match error.path.strip_prefix("tokens[0].") {
            Some("label") if self.label.is_empty() => {
                "label is required: name the token with `--label`".to_owned()
            }
            Some("providers") => "pick at least one provider: name it with `--provider`".to_owned(),
            Some("expires_at") => format!("invalid expiry: {message}"),
            Some(field) => format!("invalid {field}: {message}"),
            None => match error.path.strip_prefix("providers.") {
                Some(name) => format!("invalid provider `{name}`: {message}"),
                None => error.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_that_looks_like_a_number_stays_text() {
        for hex in ["1".repeat(64), format!("{}e5", "1".repeat(62)), format!("0b{}", "0".repeat(62))] {
            let draft = Draft {
                label: "a".to_owned(),
                owner: None,
                providers: vec!["openai".to_owned()],
                expires_at: None,
            };
            let record = TokenRecord::new(TokenDigest::from_hex(&hex).unwrap(), draft).unwrap();
            let read = crate::yaml::parse(record.to_yaml().unwrap().as_bytes()).unwrap();
            assert_eq!(read, json!([record]));
        }
    }
}
