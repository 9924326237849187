//! The lack of something for a request.

use crate::answer::CheckError;
use crate::services::Fetch;

/// The lack of a budget, or of an answer, for a request.
pub(crate) enum Lack {
    /// A call must be made first.
    Call(Box<Fetch>),
    /// The request is refused.
    Refused(CheckError<'static>),
}
