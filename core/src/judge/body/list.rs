//! A list of models in an answer: a caller sees those that it may use.

use crate::body::{JsonError, ListFilter, MODELS};
use crate::judge::admit::ModelRule;

/// The filter of one list.
pub(crate) struct ListJudge {
    rule: ModelRule,
    filter: ListFilter,
}

impl std::fmt::Debug for ListJudge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ListJudge")
    }
}

impl ListJudge {
    pub(crate) fn new(rule: ModelRule) -> Self {
        Self { rule, filter: ListFilter::new(MODELS) }
    }

    /// Takes the next slice of the list, and puts out what goes on in its place.
    ///
    /// # Errors
    /// The list cannot be read, so nothing more of it may go on.
    pub(crate) fn take(&mut self, slice: &[u8], is_last: bool, out: &mut Vec<u8>) -> Result<(), JsonError> {
        let Self { rule, filter } = self;
        filter.feed(slice, &mut |model| rule.check_shown(model).is_ok(), out)?;
        if is_last { filter.finish() } else { Ok(()) }
    }
}
