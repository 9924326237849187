//! The audit log as CSV, or as a JSON document a line (NDJSON).

use super::csv::Csv;
use crate::registry::AuditEntry;

const COLUMNS: [&str; 6] = ["id", "at", "actor", "action", "subject", "detail"];

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuditFormat {
    /// Comma-separated values, for spreadsheets.
    Csv,
    /// A JSON document a line, as the API has it.
    Ndjson,
}

impl AuditFormat {
    /// All formats.
    pub(crate) const ALL: [Self; 2] = [Self::Csv, Self::Ndjson];

    /// Parses a name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Returns the name, which is the extension of files, too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// Returns the media type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// Returns a part of an export. The first part has the names of the columns.
pub(crate) fn audit(format: AuditFormat, entries: &[AuditEntry], is_first: bool) -> String {
    match format {
        AuditFormat::Csv => {
            let mut csv = if is_first { Csv::of(&COLUMNS) } else { Csv::rest() };
            for entry in entries {
                csv.row(&[
                    entry.id.to_string(),
                    entry.at.to_string(),
                    entry.actor.clone().unwrap_or_default(),
                    entry.action.clone(),
                    entry.subject.clone(),
                    entry.detail.to_string(),
                ]);
            }
            csv.into_text()
        }
        AuditFormat::Ndjson => {
            let line = |entry: &AuditEntry| serde_json::to_string(entry).map(|line| format!("{line}\n"));
            entries.iter().filter_map(|entry| line(entry).ok()).collect()
        }
    }
}
