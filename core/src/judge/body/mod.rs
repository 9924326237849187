//! Bodies under the rules of a policy: each is judged and metered as it passes, and none is held.

mod amounts;
mod budgets;
mod lack;
mod list;
mod lookups;
mod meter;
mod meter_rules;
mod names;
mod object_list;
mod objects;
mod part;
mod plan;
mod pricing;
mod request;
mod tokens;

pub(crate) use self::amounts::Charged;
pub use self::amounts::WouldReserve;
pub(crate) use self::lack::Lack;
pub(crate) use self::list::ListJudge;
pub(crate) use self::meter::Meter;
pub(crate) use self::meter_rules::{MeterRules, subjects};
pub(crate) use self::objects::{AnswerFate, ObjectWatch, Step, Unclaimed};
pub(crate) use self::plan::BodyPlan;
pub(crate) use self::request::{RequestJudge, Slice};
