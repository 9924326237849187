//! `keyswap serve`: the registry over HTTP.
//!
//! The server authenticates requests and formats answers; the registry holds the data and its rules. The log has the
//! route, the status and the duration of a request, and no text from the request.

pub mod problem;

mod counters;
mod digest;
mod network;
mod proxy_url;

mod issuer_keys;

mod public_url;

mod access;
mod oidc;
mod session_issuer;

mod connections;

mod state;

mod access_log;
mod bearer;
mod extract;

pub(crate) mod admin;
mod data_plane;
mod devices;
mod health;
mod metrics;

mod router;
mod run;

pub use access::{Access, AccessSettings};
pub use admin::{AdminRoute, admin_routes};
pub use connections::{ConnectionLimits, Tls, TlsFiles, TlsState};
pub use oidc::{Oidc, OidcSettings};
pub use proxy_url::ProxyUrl;
pub(crate) use run::run_dashboard;
pub use run::{Listeners, first_password, run};
pub use session_issuer::{SessionIssuer, SessionSettings};
pub use state::{Options, State};
