//! Output of a policy's errors, and counts with their nouns.

use keyswap_core::policy::PolicyErrors;
use serde_json::json;

use crate::command::terminal::exit::Exit;
use crate::command::terminal::output::{self, Format};

/// Reports the errors of a policy, for commands other than `policy check`. Human-readable errors go to standard error,
/// since they are not the command's answer.
pub(in crate::command) fn report_invalid(
    name: &str,
    errors: &PolicyErrors,
    format: Format,
) -> anyhow::Result<Exit> {
    match format {
        Format::Human => {
            output::note(&error_lines(errors));
            note_count(name, errors);
        }
        Format::Json => print_errors_as_json(errors)?,
    }
    Ok(Exit::Invalid)
}

/// Returns the errors, one a line, in the words that the filter logs. Control characters are escaped: a parser's
/// message may quote one.
pub(in crate::command) fn error_lines(errors: &PolicyErrors) -> String {
    let lines: Vec<String> = errors.0.iter().map(|error| output::visible(&error.to_string())).collect();
    lines.join("\n")
}

pub(super) fn print_errors_as_json(errors: &PolicyErrors) -> anyhow::Result<()> {
    let errors: Vec<_> =
        errors.0.iter().map(|error| json!({"path": error.path, "message": error.message})).collect();
    output::print_json(&json!({"valid": false, "errors": errors}))
}

/// Writes the number of errors to standard error.
pub(super) fn note_count(name: &str, errors: &PolicyErrors) {
    output::note(&format!("{name}: {}", count(errors.0.len(), "error")));
}

/// Returns a number with its noun, in the plural unless the number is 1.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
