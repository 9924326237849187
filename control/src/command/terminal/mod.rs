//! The subcommands' input and output: files, standard streams, exit codes.

pub(super) mod exit;
pub(super) mod output;

pub(super) mod input;
pub(super) mod table;
pub(super) mod written;

pub(super) mod confirm;
pub(super) mod secret;
