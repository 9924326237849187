//! `keyswap policy diff`: what a change of policy changes, in words, or for the requests of an access log.
mod access_log;
mod requests;
mod structure;
mod subcommand;

pub(super) use subcommand::Diff;
