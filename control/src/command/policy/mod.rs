//! `keyswap policy`: checking, explaining, testing and comparing policies, and publishing them to data planes.
mod judged;
mod report;
mod time;
mod variables;

mod check;
mod diff;
mod explain;
mod explanation;
mod import;
mod lint;
mod release;
mod schema;
mod test;

mod subcommand;

pub(super) use judged::judge;
pub(super) use report::{error_lines, report_invalid};
pub(super) use subcommand::Command;
pub(super) use variables::variables;
