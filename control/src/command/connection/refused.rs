//! The refusal of an operation to the role of the command's sender.

use std::fmt;

/// A refused operation, in the words of the registry. Nothing was changed.
#[derive(Debug)]
pub(in crate::command) struct RefusedError(pub(super) String);

impl fmt::Display for RefusedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RefusedError {}
