//! Judgement of a request: verify its caller, admit it, write what is forwarded, tell the decision.

mod admit;
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
pub use self::replay::{
    LoggedRequest, NotReplayable, ReplayCharge, ReplayOutcome, ReplayPolicy, ReplayVerdict,
};
pub use self::tell::{ALLOWED, Decision, Facts, FollowUp, Observation, Passed, Refusal, Verdict};
pub(crate) use self::tell::{
    CandidateFacts, JudgedSlice, Outcome, Pending, RolloutFacts, Sides, logged, usage,
};
