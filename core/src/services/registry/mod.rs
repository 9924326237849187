//! The registry of a policy: tokens and people are looked up, cached, and dropped when they change.

mod breaker;
mod budget;
mod calls;
mod changes;
mod client;
mod feed;
mod found;
mod introspection;
mod late_answer;
mod lease_answer;
#[cfg(test)]
mod lease_calls;
mod lease_state;
mod leases;
mod lookup;
mod lookup_key;
mod memory;
mod object_answer;
mod object_guesses;
mod object_holder;
mod object_memory;
mod objects;
mod record;
mod shared_record;
mod signed_record;
mod spend;
mod spend_calls;
#[cfg(test)]
mod spend_reports;
mod usage;

pub(crate) use self::client::Registry;
pub(crate) use self::lease_state::BudgetSubject;
pub use self::lookup::RecordSource;
pub(crate) use self::lookup_key::LookupKey;
pub(crate) use self::object_holder::{Held, Holder};
pub(crate) use self::object_memory::Claim;
pub(crate) use self::objects::{MAX_LOOKED_UP, Owned};
pub use self::signed_record::{MAX_RECORD_SECONDS, RECORD_TYPE, objects_name};
pub(crate) use self::spend::Metered;
