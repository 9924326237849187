//! Output to the terminal or a pipe. A closed pipe, as with `| head`, is not an error.

use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;

/// The output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people
    #[default]
    Human,
    /// JSON for programs
    Json,
}

/// Writes the answer to standard output.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
    .context("cannot write to standard output")
}

/// Writes the answer to standard output as JSON.
pub(crate) fn print_json(answer: &impl Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(answer)?)
}

/// Writes a note to standard error, so that standard output holds the answer only.
pub(crate) fn note(text: &str) {
    // An error of the last output stream has no place to be reported.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Escapes control characters, line and paragraph separators, and bidirectional controls. Text from a file or a request
/// then cannot move the cursor, start a line or reverse one.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}
