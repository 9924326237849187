//! Tests of the registry, on SQLite and on PostgreSQL, and of its server.

mod access;
mod addresses;
mod admin;
mod admin_errors;
mod api;
mod api_keys;
mod audit;
mod book;
mod cluster;
mod connections;
mod crash;
mod credentials;
mod dashboard;
mod dashboard_api_keys;
mod dashboard_token;
mod database_tls;
mod devices;
mod editing;
mod feed;
mod four_eyes;
mod key_server;
mod leaks;
mod leases;
mod limits;
mod objects;
mod objects_before;
mod objects_given;
mod objects_served;
mod oidc;
mod people;
mod policies;
mod replicas;
mod rotated_budgets;
mod secrets;
mod selection;
mod server;
mod sign_in;
mod signed_records;
mod signers;
mod support;
mod tls_changes;
mod tls_server;
mod tokens;
mod usage;
mod users;
mod windows;

#[path = "../shared/postgres.rs"]
mod postgres;
#[path = "../shared/revisions.rs"]
mod revisions;
#[path = "../shared/tls.rs"]
mod tls;
