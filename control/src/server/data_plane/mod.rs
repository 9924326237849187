//! What data planes ask: lookups, changes, limits, policies, introspection; and what they report: uses, and what they run.
//!
//! All of it needs the data planes' credential, except for the description of it all.

mod changes;
mod conditional;
mod introspect;
mod limits;
mod lookup;
mod openapi;
mod policies;
mod refused;
mod usage;

pub(super) mod router;
