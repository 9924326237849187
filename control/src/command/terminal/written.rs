//! Paths of what a command writes.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};

use super::input;

/// Returns a parser of a path to write to. `-` is an error: it would be the name of a file.
pub(crate) fn path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        if input::is_stdin(&path) {
            Err("expected a path: `-` is not standard output here")
        } else {
            Ok(path)
        }
    })
}
