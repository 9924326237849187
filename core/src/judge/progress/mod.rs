//! One request on its way: what it is judged by, what was found, why judging ends.

mod check;
mod context;
mod part;
mod request;
mod sent;

pub use self::check::Check;
pub(crate) use self::context::{Context, Exit, Progress};
pub(crate) use self::part::{Part, Share};
pub use self::request::Request;
pub use self::sent::{AnswerFields, AnswerHead, Sent};
pub(crate) use self::sent::{SentKey, retry_after};
