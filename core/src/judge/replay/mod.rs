//! The effects of a change of policy on the requests of an access log: on decisions, on models and on cost.

mod body;
mod charge;
mod logged;
mod retrace;

pub use self::charge::ReplayCharge;
pub use self::logged::{LoggedRequest, NotReplayable, ReplayOutcome, ReplayVerdict};
pub use self::retrace::ReplayPolicy;
