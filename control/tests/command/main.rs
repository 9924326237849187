//! Tests of the `keyswap` binary by its output, errors and exit codes.

mod api_keys;
mod apply;
mod bindings;
mod budgets;
mod confirm;
mod credentials;
mod databases;
mod listen;
mod log;
mod mutated;
mod objects;
mod policy_check;
mod policy_diff;
mod policy_diff_spend;
mod policy_explain;
mod policy_four_eyes;
mod policy_import;
mod policy_lint;
mod policy_release;
mod policy_schema;
mod policy_signers;
mod policy_test;
mod prices;
mod remote;
mod render;
mod server_errors;
mod support;
mod token_create;
mod tokens;
mod usage;
mod users;
mod version;
mod written;

#[path = "../shared/revisions.rs"]
mod revisions;
#[path = "../shared/tls.rs"]
mod tls;
