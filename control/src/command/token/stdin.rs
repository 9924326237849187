//! A raw token from standard input, where no list of processes shows it.

use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::command::terminal::input;
use crate::registry::SecretText;

/// The longest token, and a line break.
const MAX_BYTES: usize = 8 * 1024 + 2;

/// Reads a token; a line break after it is not part of it.
pub(super) fn read_token() -> anyhow::Result<SecretText> {
    let bytes = input::read(Path::new("-"), MAX_BYTES)?;
    let mut text = String::from_utf8(bytes).ok().context("standard input is not UTF-8")?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    ensure!(!text.is_empty(), "there is no token on standard input");
    Ok(SecretText::new(text))
}
