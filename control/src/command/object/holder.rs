//! Arguments that name a holder: `token:TOKEN` or `person:EMAIL`.

use crate::command::budget::principal;
use crate::command::connection::operations::Operations;
use crate::registry::Holder;

/// Returns the holder that an argument names. TOKEN is a label, the beginning of a label, digits of a SHA-256, or `-` for
/// standard input. All digits also name a principal that the registry does not know.
pub(super) fn find(text: &str, registry: &dyn Operations) -> anyhow::Result<Holder> {
    match text.strip_prefix("token:") {
        Some(token) => Ok(Holder::Token(principal(token, registry)?)),
        None => Ok(Holder::parse(text)?),
    }
}
