//! One request on its way: the context of its judgement, the findings, and the exits.

mod admitted;
mod check;
mod context;
mod part;
mod request;
mod sent;
mod suspended;

pub(crate) use self::admitted::{Admitted, Means, UsableModels};
pub use self::check::Check;
pub(crate) use self::context::{Context, Exit, Progress};
pub(crate) use self::part::{Part, Share};
pub use self::request::Request;
pub use self::sent::{AnswerFields, AnswerHead, Sent};
pub(crate) use self::sent::{OwnKey, REJECTIONS, SentKey, rejection, retry_after};
pub(crate) use self::suspended::Suspended;
