//! The database: connections, transactions that change something, and the SQL.
//!
//! One text of SQL serves SQLite and PostgreSQL; only opening, migrating and hearing of others' changes differ.

pub(super) mod database;
pub(super) mod url;
pub(super) mod write;

mod audit;
mod changes;
mod dialect;
mod limits;
mod names;
mod open;
mod page;
mod policies;
mod postgres;
mod sign_in;
mod sqlite;
mod tokens;
mod users;
mod wake;
