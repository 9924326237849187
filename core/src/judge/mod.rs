//! Judgement of a request: verify its caller, admit it, write what is forwarded, tell the decision.

mod admit;
mod answers;
mod body;
mod engine;
mod forward;
mod progress;
mod replay;
mod tell;
mod verify;

pub(crate) use self::body::{ListJudge, Meter, Slice};
pub(crate) use self::engine::Engine;
pub use self::forward::{Field, FieldValue, Rewrite, has_content};
pub(crate) use self::progress::{Admitted, Part, Share, Suspended};
pub use self::progress::{AnswerFields, AnswerHead, Check, Request, Sent};
pub use self::replay::{LoggedRequest, NotReplayable, ReplayOutcome, ReplayPolicy, ReplayVerdict};
pub(crate) use self::tell::{CandidateFacts, JudgedSlice, Outcome, Pending, RolloutFacts, logged, usage};
pub use self::tell::{Decision, Facts, FollowUp, Observation, Passed, Refusal, Verdict};
