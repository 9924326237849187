//! Judgement of a request: verify its caller, admit it, write what is forwarded, tell the decision.

mod admit;
mod answers;
mod body;
mod engine;
mod forward;
mod held;
mod odd_path;
mod progress;
mod rejections;
mod replay;
mod tell;
mod verify;

pub use self::body::WouldReserve;
pub(crate) use self::body::{
    AnswerFate, ListJudge, Meter, ObjectWatch, RequestJudge, Slice, Step, Unclaimed,
};
pub(crate) use self::engine::Engine;
pub use self::forward::{Field, FieldValue, Rewrite, has_content};
pub(crate) use self::progress::{Admitted, OwnKey, Part, Share, Suspended, rejection};
pub use self::progress::{AnswerFields, AnswerHead, Check, Request, Sent};
pub use self::replay::{
    LoggedRequest, NotReplayable, ReplayCharge, ReplayOutcome, ReplayPolicy, ReplayVerdict,
};
pub use self::tell::{ALLOWED, Decision, Facts, FollowUp, Observation, Passed, Refusal, Verdict};
pub(crate) use self::tell::{
    About, CandidateFacts, Compared, JudgedSlice, Outcome, Pending, RolloutFacts, Watch, Watched,
    is_live_query, logged, usage,
};
