//! The administration: sign-in, the API under `/admin/api/`, the dashboard under `/admin`.
//!
//! Everything except the sign-in goes through the [`gate`], and requests from other sites' pages are refused.

mod audit;
pub(super) mod client;
mod grace;
mod objects;
pub(crate) mod origin;
mod usage;

pub(super) mod gate;

mod api;
mod dashboard;

pub(super) mod router;

pub use router::{AdminRoute, admin_routes};
