//! A raw token from standard input, which process lists do not show.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::command::terminal::{input, secret};
use crate::registry::SecretText;

/// The longest token and a line break.
const MAX_BYTES: usize = 8 * 1024 + 2;

/// Reads a token. A line break at the end is removed. Empty input is an error. At a terminal it asks for a line.
pub(super) fn read_token() -> anyhow::Result<SecretText> {
    let bytes = if io::stdin().is_terminal() {
        let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
        secret::ask("Type or paste the token, which is not shown:", limit).context("cannot read the token")?
    } else {
        input::read(Path::new("-"), MAX_BYTES)?
    };
    let mut text = String::from_utf8(bytes).ok().context("standard input is not UTF-8")?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    ensure!(!text.is_empty(), "no token on standard input");
    Ok(SecretText::new(text))
}
