//! The dashboard: HTML pages that work without the script. The script copies tokens, refreshes lists and sends a
//! form once.
//!
//! The server renders the pages and escapes all values. Nothing is loaded from other hosts.

mod addresses;
mod api_keys;
mod assets;
mod audit;
mod budget;
mod change;
mod chart;
mod credentials;
mod fields;
mod head;
mod history;
mod layout;
mod list;
mod object;
mod objects;
mod offboard;
mod overview;
mod payer;
mod payer_address;
mod policies;
mod provider;
mod provider_sign_in;
mod rate_limit;
mod sealed;
mod sessions;
mod shown_once;
mod sign_in;
mod snippets;
mod span;
mod sums;
mod team;
mod time;
mod token;
mod token_forms;
mod tokens;
mod usage;
mod user;
mod users;

pub(super) mod router;
