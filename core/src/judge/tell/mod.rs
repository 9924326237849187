//! Tell: the decision and its explanation, log lines, comparisons, the status.

mod comparison;
mod decision;
mod log;
mod observation;
mod pending;
mod refused;
mod status_query;
mod status_report;

pub(crate) use self::comparison::Outcome;
pub use self::decision::{Decision, Facts, FollowUp, Passed, Verdict};
pub use self::observation::Observation;
pub(crate) use self::observation::{ALLOWED, ANSWERED};
pub use self::pending::Refusal;
pub(crate) use self::pending::{JudgedSlice, Pending, usage};
pub(crate) use self::status_query::{is_local, is_status_query};
pub(crate) use self::status_report::{CandidateFacts, RolloutFacts, StatusSources, status_reply};
