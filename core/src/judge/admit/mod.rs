//! Admit: the scope of the caller, the keys of the upstream, one request from the budget.

mod body;
mod grant;
mod keys;
mod limit;
mod models;
mod objects;
mod target;

pub(crate) use self::body::{BodyForm, BodyRule, UnreadBody};
pub(crate) use self::grant::{Grant, Scoped};
pub(crate) use self::keys::UpstreamKeys;
pub(crate) use self::limit::count;
pub(crate) use self::models::{ModelNames, ModelRule};
pub(crate) use self::objects::ObjectRule;
pub(crate) use self::target::{MeteringTrait, RequestTraits};
