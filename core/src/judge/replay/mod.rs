//! The effects of a change of policy on the requests of an access log: on decisions, on models and on cost.

mod body;
mod charge;
mod logged;
mod records;
mod retrace;

pub use self::logged::{LoggedRequest, NotReplayable, ReplayCharge, ReplayOutcome, ReplayVerdict};
pub use self::retrace::ReplayPolicy;
