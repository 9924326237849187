//! Credentials in human-readable output.

use crate::command::terminal::table::{NONE, Table};
use crate::registry::Credential;

const COLUMNS: &[&str] = &["name", "sha256", "role", "created", "last seen"];

/// Returns a table with a row for each credential.
pub(super) fn table(credentials: &[Credential]) -> Table {
    let mut table = Table::new(COLUMNS);
    for credential in credentials {
        table.add([
            credential.name.clone(),
            credential.id(),
            credential.role.name().to_owned(),
            credential.created_at.to_string(),
            credential.last_seen.map_or_else(|| NONE.to_owned(), |at| at.to_string()),
        ]);
    }
    table
}
