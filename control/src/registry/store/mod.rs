//! The database: connections, writing transactions, and SQL.
//!
//! SQLite and PostgreSQL share the SQL. Opening, migrating and the notification of changes differ.

pub(super) mod budgets;
pub(super) mod database;
pub(super) mod ledger;
pub(super) mod seen;
pub(super) mod url;
pub(super) mod write;

mod api_keys;
mod audit;
mod changes;
mod conditions;
mod credentials;
mod devices;
mod dialect;
mod limits;
mod names;
mod objects;
mod open;
mod page;
mod policies;
mod postgres;
mod principals;
mod proposals;
mod reach;
mod sessions;
mod sign_in;
mod signers;
mod sources;
mod sqlite;
mod token_pages;
mod tokens;
mod usage;
mod usage_sums;
mod users;
mod wake;
