//! `keyswap serve`: the registry over HTTP.
//!
//! It decides who may ask and how an answer looks; what is true is the registry's to say. It logs the route, the
//! status and the time of a request, and nothing that a caller sent.

pub mod problem;

mod access;
mod access_log;
mod connections;
mod digest;
mod proxy_url;

mod state;

mod bearer;
mod extract;

pub(crate) mod admin;
mod data_plane;
mod health;

mod router;
mod run;

pub use access::{Access, AccessSettings};
pub use proxy_url::ProxyUrl;
pub use router::router;
pub use run::{first_password, run};
pub use state::{Options, State};
