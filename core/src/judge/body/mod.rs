//! Bodies under the rules of a policy: each is judged as it passes, and none is held.

mod request;

pub(crate) use self::request::{RequestJudge, Slice};
