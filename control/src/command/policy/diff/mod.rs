//! `keyswap policy diff`: the differences between two policies, by field or for the requests of an access log.
mod access_log;
mod accounts;
mod requests;
mod scope;
mod spend;
mod structure;
mod subcommand;

pub(super) use structure::{compare, in_words};
pub(super) use subcommand::Diff;
