//! Drives the real `keyswap` binary and judges what a user sees: output, errors, exit codes.

mod policy_check;
mod policy_explain;
mod support;
mod token_create;
mod tokens;
mod usage;
mod users;
