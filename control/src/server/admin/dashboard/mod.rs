//! The dashboard: pages in HTML that work without a script, and better with one.
//!
//! Pages are made on the server; what people typed is text in them, never markup. Nothing is loaded from elsewhere.

mod assets;
mod audit;
mod change;
mod fields;
mod guard;
mod layout;
mod list;
mod policies;
mod provider;
mod rate_limit;
mod shown_once;
mod sign_in;
mod time;
mod token;
mod tokens;
mod user;
mod users;

pub(super) mod router;
