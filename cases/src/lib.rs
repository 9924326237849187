//! Cases of a policy: requests, and the outcome that each must have. This is the one implementation of their format,
//! for `keyswap policy test` and for the corpus of this repository (`tests/cases`).
//!
//! - [`Suite`] is a file of cases. Reading is strict: a field that the format does not have is an error.
//! - [`Services`] answer as a file says: the registry with its limits, agents, issuers.
//! - [`CaseHost`] judges the cases of a file in order, as one data plane.
//! - [`Case::compare`] tells how the outcome differs from the expected one.
//!
//! An error names its place and repeats no value, because a file of cases may hold tokens. Nothing here reads a file, reads
//! a clock or calls a service.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

mod text;

mod format;

mod services;

mod outcome;

mod host;

pub use format::{
    Answer, Case, ClientCertificate, Forward, Headers, HeldObject, Identity, Parts, Registered, Reply,
    Request, Served, Suite, SuiteError, SuiteErrors,
};
pub use host::{CaseHost, Placeholders};
pub use outcome::{Answered, Difference, Forwarded, Found, Outcome};
pub use services::{ServiceAnswer, Services};
pub use text::{HeadError, parse_head};
