//! The administration API: the actions of the dashboard, as JSON for programs.

mod answers;

mod api_keys;
mod audit;
mod audit_export;
mod budgets;
mod credentials;
mod objects;
mod offboard;
mod openapi;
mod parameters;
mod policies;
mod session;
mod sessions;
mod tokens;
mod usage;
mod users;

mod described;

pub(super) mod router;
