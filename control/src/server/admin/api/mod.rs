//! The administration API: the actions of the dashboard, as JSON for programs.

mod audit;
mod audit_export;
mod budgets;
mod credentials;
mod objects;
mod offboard;
mod parameters;
mod policies;
mod tokens;
mod usage;
mod users;

pub(super) mod router;
