//! The body of a request that must say something: judged at the byte that makes it useful upstream.

use crate::answer::CheckError;
use crate::body::{Named, RequestScanner, Splice, Splices};
use crate::judge::admit::BodyRule;

/// A slice of a body that may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slice {
    /// As it is.
    Same,
    /// These bytes in its place.
    Other(Vec<u8>),
}

/// The judge of one body.
pub(crate) struct RequestJudge {
    rule: BodyRule,
    scanner: RequestScanner,
    has_bytes: bool,
    names_model: bool,
    /// The first error: nothing goes on behind it.
    error: Option<CheckError<'static>>,
}

impl RequestJudge {
    pub(crate) fn new(rule: BodyRule) -> Self {
        Self { rule, scanner: RequestScanner::new(false), has_bytes: false, names_model: false, error: None }
    }

    /// Judges the next slice. `is_last` says that nothing follows it.
    ///
    /// # Errors
    /// The reason to refuse the request: nothing of this slice may go on, and nothing after it.
    pub(crate) fn take(&mut self, slice: &[u8], is_last: bool) -> Result<Slice, CheckError<'static>> {
        let judged = self.error.map_or_else(|| self.judge(slice, is_last), Err);
        self.error = judged.as_ref().err().copied();
        judged
    }

    /// Returns the words for a refusal.
    pub(crate) fn words(&self) -> String {
        self.rule.models.words()
    }

    fn judge(&mut self, slice: &[u8], is_last: bool) -> Result<Slice, CheckError<'static>> {
        let Self { rule, scanner, names_model, .. } = self;
        self.has_bytes |= !slice.is_empty();
        let mut fault = None;
        let fed = scanner.feed(slice, &mut |named| {
            let checked = match named {
                Named::Model(model) => {
                    *names_model = true;
                    rule.models.check_model(model)
                }
                Named::Provider(provider) => {
                    *names_model = true;
                    rule.models.check_provider(provider)
                }
            };
            fault = fault.or(checked.err());
        });
        let splices = fed.map_err(CheckError::BodyInvalid)?;
        if let Some(fault) = fault {
            return Err(fault);
        }
        if is_last && self.has_bytes && !self.scanner.is_over() {
            self.scanner.finish().map_err(CheckError::BodyInvalid)?;
        }
        // A request without a body, or with an empty object, names nothing and computes nothing.
        let is_complete = self.scanner.is_over() && self.scanner.asked().has_members;
        if is_complete && self.rule.needs_model && !self.names_model {
            return Err(CheckError::ModelMissing);
        }
        Ok(with(slice, &splices))
    }
}

/// Returns a slice with what is added to it.
fn with(slice: &[u8], splices: &Splices) -> Slice {
    if splices.iter().all(Option::is_none) {
        return Slice::Same;
    }
    let mut bytes = Vec::with_capacity(slice.len().saturating_add(64));
    let mut from = 0;
    for Splice { at, text } in splices.iter().flatten() {
        bytes.extend_from_slice(slice.get(from..*at).unwrap_or_default());
        bytes.extend_from_slice(text.as_bytes());
        from = *at;
    }
    bytes.extend_from_slice(slice.get(from..).unwrap_or_default());
    Slice::Other(bytes)
}
