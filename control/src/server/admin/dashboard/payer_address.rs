//! The names and addresses of subjects of budgets.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::registry::{Payer, UsageBy};

/// Returns the path of a subject's page.
pub(super) fn address(subject: &Payer) -> String {
    format!("/admin/usage/{}", utf8_percent_encode(&subject.to_string(), NON_ALPHANUMERIC))
}

/// Returns the path of the page for a value of a dimension, `None` for a dimension without such pages.
pub(super) fn address_of(by: UsageBy, key: &str) -> Option<String> {
    let kind = match by {
        UsageBy::Token => "token",
        UsageBy::Owner => "owner",
        UsageBy::Team => "team",
        UsageBy::Provider | UsageBy::Model | UsageBy::Day => return None,
    };
    Payer::parse(&format!("{kind}:{key}")).ok().as_ref().map(address)
}

/// Returns the subject for people: of a digest the first 16 digits.
pub(super) fn name(subject: &Payer) -> String {
    match subject {
        Payer::Token(digest) => format!("token {}", digest.to_hex().chars().take(16).collect::<String>()),
        Payer::Owner(email) => email.clone(),
        Payer::Team(team) => format!("team {team}"),
    }
}
