//! API keys in human-readable output.

use crate::command::terminal::table::{NONE, Table};
use crate::registry::ApiKey;

const COLUMNS: &[&str] = &["name", "sha256", "role", "created", "by", "expires", "last seen"];

/// Returns a table with a row for each key.
pub(super) fn table(keys: &[ApiKey]) -> Table {
    let mut table = Table::new(COLUMNS);
    for key in keys {
        table.add([
            key.name.clone(),
            key.id(),
            key.role.to_string(),
            key.created_at.to_string(),
            key.created_by.clone(),
            key.expires_at.to_string(),
            key.last_seen.map_or_else(|| NONE.to_owned(), |at| at.to_string()),
        ]);
    }
    table
}
