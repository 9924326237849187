//! The administration API: the actions of the dashboard, as JSON for programs.

mod audit;
mod budgets;
mod credentials;
mod objects;
mod parameters;
mod policies;
mod tokens;
mod usage;
mod users;

pub(super) mod router;
