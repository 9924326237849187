//! Objects in human-readable output.

use crate::command::terminal::output::{self, Format};
use crate::command::terminal::table::{NONE, Table};
use crate::registry::KeptObject;

const COLUMNS: &[&str] = &["provider", "kind", "id", "holder", "owner", "team", "holder is", "created"];

const DETAILS: &[&str] = &[
    "provider",
    "kind",
    "id",
    "sha256",
    "holder",
    "principal",
    "owner",
    "team",
    "holder is",
    "created",
    "expires",
];

/// Returns a table with a row for each object.
pub(super) fn table(objects: &[KeptObject]) -> Table {
    let mut table = Table::new(COLUMNS);
    for object in objects {
        table.add([
            object.provider.clone(),
            object.kind.clone(),
            object.id.clone(),
            holder(object),
            or_none(object.owner.clone()),
            or_none(object.team.clone()),
            object.holder.name().to_owned(),
            object.created_at.to_string(),
        ]);
    }
    table
}

/// Prints an object.
pub(super) fn print(object: &KeptObject, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print_json(object),
        Format::Human => {
            let mut table = Table::new(DETAILS);
            table.add([
                object.provider.clone(),
                object.kind.clone(),
                object.id.clone(),
                object.digest.to_hex(),
                holder(object),
                object.principal.to_hex(),
                or_none(object.owner.clone()),
                or_none(object.team.clone()),
                object.holder.name().to_owned(),
                object.created_at.to_string(),
                or_none(object.expires_at),
            ]);
            output::print(&table.as_paragraphs())
        }
    }
}

/// Returns the label of the holder, or the first 16 digits of the principal.
fn holder(object: &KeptObject) -> String {
    match object.label.as_str() {
        "" => object.principal.to_hex().chars().take(16).collect(),
        label => label.to_owned(),
    }
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}
