//! `cf-aig-metadata`: the principal of a request, for the logs and budgets of the Cloudflare AI Gateway.
//!
//! The gateway keeps the first five members of a flat object, and ignores the header when a value is nested. A policy
//! may ask for no more. Values come from the verified principal only, never from the client.

use crate::base::bytes::is_printable;
use crate::identity::CallerRecord;

/// The most members that the gateway keeps.
pub(crate) const MAX_MEMBERS: usize = 5;

/// The part of the principal that a member tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Id,
    Label,
    Email,
    Team,
}

/// The names of claims in a policy.
pub(crate) const CLAIMS: [(&str, Claim); 4] = [
    ("principal.id", Claim::Id),
    ("principal.label", Claim::Label),
    ("principal.email", Claim::Email),
    ("principal.team", Claim::Team),
];

/// Returns the header's value. A claim that the principal lacks is left out; `None` where nothing is left.
pub(crate) fn render(members: &[(String, Claim)], token: &CallerRecord) -> Option<String> {
    let mut text = String::with_capacity(128);
    for (name, claim) in members {
        let id;
        let value = match claim {
            Claim::Id => {
                id = token.id();
                Some(id.as_str())
            }
            Claim::Label => Some(token.label.as_str()),
            Claim::Email => token.owner.as_deref(),
            Claim::Team => token.team.as_deref(),
        };
        if let Some(value) = value {
            text.push(if text.is_empty() { '{' } else { ',' });
            push_string(&mut text, name);
            text.push(':');
            push_string(&mut text, value);
        }
    }
    (!text.is_empty()).then(|| text + "}")
}

/// Writes a JSON string in printable ASCII, so that it can stand in a header whatever the label holds.
fn push_string(text: &mut String, value: &str) {
    text.push('"');
    if is_printable(value.as_bytes()) {
        text.push_str(value);
        text.push('"');
        return;
    }
    for char in value.chars() {
        match char {
            '"' | '\\' => text.extend(['\\', char]),
            ' '..='~' => text.push(char),
            _ => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    text.push_str("\\u");
                    text.push_str(&hex::encode(unit.to_be_bytes()));
                }
            }
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digest;
    use crate::identity::{CallerKind, Models, Scope, TokenStatus};

    fn token(label: &str, owner: Option<&str>) -> CallerRecord {
        CallerRecord {
            kind: CallerKind::Token,
            digest: Digest::of(b"t"),
            holder: Digest::of(b"t"),
            label: label.to_owned(),
            owner: owner.map(str::to_owned),
            team: None,
            status: TokenStatus::Active,
            scope: Scope::default(),
            models: Models::all(),
            expires_at: None,
            rate_limit: None,
            ended_sessions: Vec::new(),
            certificate: None,
            budget: None,
        }
    }

    fn members() -> Vec<(String, Claim)> {
        vec![("user_id".to_owned(), Claim::Email), ("token".to_owned(), Claim::Label)]
    }

    #[test]
    fn it_is_json_in_printable_ascii_whatever_the_label() {
        for label in ["alice", "", "a\"b\\c", "\r\nx-evil: 1", "é 🦀 \u{7f}\u{0}", "</script>"] {
            let text = render(&members(), &token(label, Some("a@b"))).unwrap();
            assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value, serde_json::json!({"user_id": "a@b", "token": label}));
        }
    }

    #[test]
    fn a_claim_that_is_not_there_is_left_out() {
        assert_eq!(render(&members(), &token("l", None)).as_deref(), Some(r#"{"token":"l"}"#));
        assert_eq!(render(&[("u".to_owned(), Claim::Email)], &token("l", None)), None);
    }
}
