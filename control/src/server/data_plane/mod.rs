//! The API for data planes: lookups, changes, limits, leases of budgets, objects, policies and introspection, and
//! reports of usage.
//!
//! Every route except the `OpenAPI` document requires a credential: of the role `data_plane`, or for introspection of
//! either role.

mod changes;
mod conditional;
mod introspect;
mod leases;
mod limits;
mod lookup;
mod objects;
mod openapi;
mod policies;
mod refused;
mod signed;
mod usage;

pub(super) mod router;
