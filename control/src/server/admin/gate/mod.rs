//! The gate of the administration: the persons and programs that pass, and their rights.
//!
//! A handler gets the registry only from a [`Permit`], which the gate makes after it has found the sender of a request and looked
//! up its right in the one table of operations. So a handler without a right cannot be written, and neither can a route without
//! one: its operation is that of the permit which its handler takes.

mod operation;
mod person;
mod state;

pub(in crate::server) mod password;
mod provider;
mod session;
mod sign_in;
mod who;

mod changes;
mod permit;
mod routes;

pub(super) use changes::Mints;
pub(super) use operation::{Op, Operation, op};
pub(super) use permit::{Permit, Reader};
pub(super) use person::{Means, Person, viewer};
pub(super) use provider::{begin, ended, finish};
pub(super) use routes::{Judged, Manner, Routes, Row};
pub(super) use session::{cookie, id as session_id, set_cookie};
pub(super) use sign_in::{Try, attempt};
pub(super) use state::AdminState;
