//! Tell: the decision and its explanation, log lines, comparisons, the status.

mod comparison;
mod decision;
mod live;
mod log;
mod me;
mod observation;
mod outcome;
mod pending;
mod refused;
mod status_query;
mod status_report;
mod watch;

pub use self::decision::{Decision, Facts, FollowUp, Passed, Verdict};
pub(crate) use self::live::is_live_query;
pub(crate) use self::me::{is_me_query, me_reply};
pub use self::observation::ALLOWED;
pub(crate) use self::observation::ANSWERED;
pub use self::observation::Observation;
pub(crate) use self::outcome::{About, Compared, Outcome};
pub use self::pending::Refusal;
pub(crate) use self::pending::{JudgedSlice, Pending, logged, usage};
pub(crate) use self::status_query::{is_local, is_status_query};
pub(crate) use self::status_report::{CandidateFacts, RolloutFacts, StatusSources, status_reply};
pub(crate) use self::watch::{Watch, Watched};
