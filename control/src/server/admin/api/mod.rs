//! The administration as JSON: what the dashboard does, for programs.

mod audit;
mod parameters;
mod policies;
mod tokens;
mod users;

pub(super) mod router;
