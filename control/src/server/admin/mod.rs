//! The administration: signing in, the API under `/admin/api/`, the dashboard under `/admin`.
//!
//! Everything but the sign-in needs an administrator, and nothing is done for another site's page.

mod administrator;
mod client;
mod grace;
pub(crate) mod origin;
pub(super) mod password;
mod session;

mod who;

mod sign_in;

mod api;
mod dashboard;

pub(super) mod router;
