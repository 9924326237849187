//! Slices of bodies as an exchange passes them, the fate of an answer, and the end of an exchange.

use crate::judge::{Observation, Unclaimed};
use crate::services::Fetch;

/// A slice of a request's body that may go on.
#[derive(Debug, Default)]
pub struct RequestSlice {
    /// The bytes in its place; `None` where it goes on as it is.
    pub bytes: Option<Vec<u8>>,
    /// Set where the slice must wait: it goes on after [`super::Exchange::resume_request`].
    pub waits: bool,
    /// A call that has to be made: the slice waits for it, or it is made meanwhile.
    pub fetch: Option<Box<Fetch>>,
    /// The observation of the request, once its body has passed.
    pub observation: Option<Observation>,
}

/// The end of a metered exchange, for metrics and logs.
#[derive(Debug, Default)]
pub struct Ended {
    /// The observations of it.
    pub observations: Vec<Observation>,
    /// Values for the access log: `keyswap_model`, `keyswap_input_tokens` and such, as far as they are known.
    pub values: Vec<(&'static str, String)>,
}

/// The fate of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerBody {
    /// It goes on as it is.
    Same,
    /// Bytes may be taken out of it, so its length does not hold.
    Edited,
    /// It cannot be read and would have to be, or it came before the request was judged: [`super::Exchange::withheld`] goes out in
    /// its place.
    Withheld,
}

/// The error of an answer of which nothing more may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerFault;

impl From<Unclaimed> for AnswerFault {
    fn from(_: Unclaimed) -> Self {
        Self
    }
}

/// A slice of an answer's body that may go on.
#[derive(Debug, Default)]
pub struct AnswerSlice {
    /// The bytes in its place; `None` where it goes on as it is.
    pub bytes: Option<Vec<u8>>,
    /// Set where the slice must wait, and all that follow: they go on after [`super::Exchange::resume_answer`].
    pub waits: bool,
    /// A call that has to be made: the slice waits for it, or it is made meanwhile.
    pub fetch: Option<Box<Fetch>>,
}
