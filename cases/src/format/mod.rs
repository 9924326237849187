//! The format of a file of cases, as people write it.

mod case;
mod error;
mod expectation;
mod request;
mod service;
mod suite;
mod time;

pub use case::{Case, ClientCertificate, Identity};
pub use error::{SuiteError, SuiteErrors};
pub use expectation::{Answer, Forward, Reply};
pub use request::{Headers, Parts, Request};
pub use service::{HeldObject, Registered, Served};
pub use suite::Suite;
