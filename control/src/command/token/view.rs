//! Tokens in human-readable output.

use crate::command::terminal::output::{self, Format};
use crate::command::terminal::table::{NONE, Table};
use crate::registry::{Status, Token};

const COLUMNS: &[&str] =
    &["label", "sha256", "ends in", "owner", "team", "providers", "status", "expires", "last used"];

const DETAILS: &[&str] = &[
    "label",
    "sha256",
    "ends in",
    "owner",
    "team",
    "providers",
    "models",
    "status",
    "created",
    "expires",
    "rate limit",
    "bound to",
    "successor",
    "last used",
];

/// Returns the state of a token: its status, `expired` after its expiry, or `retiring` if it has a successor.
pub(super) fn status(token: &Token) -> &'static str {
    match token.status {
        Status::Disabled => "disabled",
        Status::Active if !token.is_active_now() => "expired",
        Status::Active if token.successor.is_some() => "retiring",
        Status::Active => "active",
    }
}

/// Returns a table with a row for each token.
pub(super) fn table(tokens: &[Token]) -> Table {
    let mut table = Table::new(COLUMNS);
    for token in tokens {
        table.add([
            token.label.clone(),
            token.id(),
            or_none(Some(token.last4.clone()).filter(|last4| !last4.is_empty())),
            or_none(token.owner.clone()),
            or_none(token.team.clone()),
            token.providers.join(","),
            status(token).to_owned(),
            or_none(token.expires_at()),
            or_none(token.last_used),
        ]);
    }
    table
}

/// Prints the record of a token.
pub(super) fn print(token: &Token, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print_json(token),
        Format::Human => output::print(&details(token)),
    }
}

/// Returns the record of a token, with one field a line.
pub(super) fn details(token: &Token) -> String {
    let mut table = Table::new(DETAILS);
    table.add([
        token.label.clone(),
        token.digest.to_hex(),
        or_none(Some(token.last4.clone()).filter(|last4| !last4.is_empty())),
        or_none(token.owner.clone()),
        or_none(token.team.clone()),
        token.providers.join(", "),
        token.models.join(", "),
        status(token).to_owned(),
        token.created_at.to_string(),
        or_none(token.expires_at()),
        or_none(token.rate_limit),
        or_none(token.certificate.map(|digest| digest.to_hex())),
        or_none(token.successor.map(|digest| digest.to_hex())),
        or_none(token.last_used),
    ]);
    table.as_paragraphs()
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}
