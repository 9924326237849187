//! A data plane for the cases of a file.

mod case_host;
mod environment;
mod placeholders;
mod policy_under_test;
mod stand_in_key;
mod stand_ins;

pub use case_host::CaseHost;
pub use placeholders::Placeholders;
