//! Drives the registry, on SQLite and on PostgreSQL, and its server.

mod api;
mod crash;
mod feed;
mod leaks;
mod limits;
mod postgres;
mod replicas;
mod server;
mod support;
mod tokens;
mod users;
