//! The API of data planes: lookups, changes, limits, policies, introspection; and reports of uses and of policies that run.
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
