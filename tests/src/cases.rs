//! The case corpus: policies, requests, and what must become of them, as data (`tests/cases/*.yaml`).

mod case;
mod corpus;
mod digest;
mod providers;
mod registry;
mod suite;

pub use case::{Answered, Case, CaseRequest, Forwarded, Reply};
pub use corpus::corpus;
pub use registry::{CaseRegistry, Registered, Served};
pub use suite::Suite;
