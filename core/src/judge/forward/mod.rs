//! Forward: the rewritten head that an upstream gets.

mod fields;
mod metadata_texts;
mod protected;
mod rewrite;

pub use self::fields::{Field, has_content};
pub(crate) use self::metadata_texts::MetadataTexts;
pub(crate) use self::protected::Protected;
pub use self::rewrite::{FieldValue, Rewrite};
pub(crate) use self::rewrite::{Original, SUBPROTOCOL};
