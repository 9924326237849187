//! YAML documents, read as JSON values.
//!
//! The reader refuses documents that JSON cannot express or that parsers read differently: repeated keys, merge keys,
//! custom tags, several documents, YAML 1.1's other booleans. Aliases are expanded within narrow limits. Errors have
//! line and column and do not quote the document, which may hold a secret in a wrong place.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, MessageFormatter as _, Options};

/// The largest number of values that aliases may repeat. A policy needs a handful.
const MAX_REPEATED: usize = 10_000;

/// An error of a document. It does not quote the document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct YamlError(String);

/// Parses one YAML document. An empty document is an error.
pub(crate) fn parse(document: &[u8]) -> Result<Value, YamlError> {
    let text = text(document)?;
    match serde_saphyr::from_str_with_options(text, options(MergeKeyPolicy::Error)) {
        Ok(Value::Null) => Err(YamlError::empty()),
        Ok(value) => Ok(value),
        Err(error) => Err(YamlError::of(&error)),
    }
}

/// Parses several documents of another program. Empty documents are left out.
///
/// It reads as [`parse`] does, and expands merge keys: what the program reads is read here.
pub(crate) fn parse_all(documents: &[u8]) -> Result<Vec<Value>, YamlError> {
    let text = text(documents)?;
    let mut values: Vec<Value> =
        serde_saphyr::from_multiple_with_options(text, options(MergeKeyPolicy::Merge))
            .map_err(|error| YamlError::of(&error))?;
    values.retain(|value| !value.is_null());
    if values.is_empty() { Err(YamlError::empty()) } else { Ok(values) }
}

fn options(merge_keys: MergeKeyPolicy) -> Options {
    serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: merge_keys,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPEATED },
    }
}

impl YamlError {
    fn empty() -> Self {
        Self("the document is empty".to_owned())
    }

    fn of(error: &Error) -> Self {
        let words = words(error);
        Self(match error.location() {
            Some(at) => format!("not valid YAML: {words} at line {} column {}", at.line(), at.column()),
            None => format!("not valid YAML: {words}"),
        })
    }
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for YamlError {}

fn text(document: &[u8]) -> Result<&str, YamlError> {
    std::str::from_utf8(document).map_err(|error| {
        YamlError(format!("not valid YAML: the byte at position {} is not UTF-8", error.valid_up_to()))
    })
}

/// Returns the error in words. Errors in which the parser would quote the document are reworded.
fn words(error: &Error) -> Cow<'static, str> {
    Cow::Borrowed(match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => return words(error),
        Error::DuplicateMappingKey { .. } => "a duplicate key in a mapping",
        Error::MergeKeyNotAllowed { .. } => "merge keys (`<<`) are not supported: write the fields out",
        Error::UnsupportedTag { .. } => "tags are not supported: remove it",
        Error::NonFiniteFloat { .. } => "a number out of range: put it in quotes if it is text",
        Error::MultipleDocuments { .. } => "a second document: expected one",
        Error::UnknownAnchor { .. } => "an alias without an anchor",
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an alias within its own anchor",
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "more values, nesting or aliases than are read: shorten it"
        }
        Error::SerdeInvalidType { .. } | Error::SerdeInvalidValue { .. } | Error::NullIntoString { .. } => {
            "a key that is not text"
        }
        other => return Cow::Owned(serde_saphyr::UserMessageFormatter.format_message(other).into_owned()),
    })
}
