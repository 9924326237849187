//! Users in human-readable output.

use crate::command::terminal::output::{self, Format};
use crate::command::terminal::table::{NONE, Table};
use crate::registry::User;

const COLUMNS: &[&str] =
    &["email", "label", "team", "providers", "models", "status", "created", "rate limit"];

/// Returns a table with a row for each user.
pub(super) fn table(users: &[User]) -> Table {
    let mut table = Table::new(COLUMNS);
    for user in users {
        table.add([
            user.email.clone(),
            user.label.clone().unwrap_or_else(|| NONE.to_owned()),
            user.team.clone().unwrap_or_else(|| NONE.to_owned()),
            user.providers.join(","),
            user.models.join(","),
            user.status.name().to_owned(),
            user.created_at.to_string(),
            user.rate_limit.map_or_else(|| NONE.to_owned(), |limit| limit.to_string()),
        ]);
    }
    table
}

/// Prints the record of a user.
pub(super) fn print(user: &User, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print_json(user),
        Format::Human => output::print(&table(std::slice::from_ref(user)).as_paragraphs()),
    }
}
