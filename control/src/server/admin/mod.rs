//! The administration: sign-in, the API under `/admin/api/`, the dashboard under `/admin`.
//!
//! Everything except the sign-in requires an administrator, and requests from other sites' pages are refused.

mod administrator;
mod audit;
mod client;
mod grace;
mod objects;
pub(crate) mod origin;
pub(super) mod password;
mod session;
mod usage;

mod who;

mod sign_in;

mod api;
mod dashboard;

pub(super) mod router;
