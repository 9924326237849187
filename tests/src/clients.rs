//! The SDKs as developers use them: unmodified packages, locked, each call in a process of its own.
//!
//! A call runs a script of `tests/clients`, which prints one [`Event`] a line as it happens. The scripts hold no
//! expectations; those are the tests'. Of the caller's environment, an SDK sees nothing that would configure it.

mod call;
mod client;
mod library;
pub mod matrix;
mod running;

pub use call::{Call, Mode};
pub use client::{Client, Sdk};
pub(crate) use library::isolated;
pub use library::{Language, Library};
pub use running::{Event, Failure, Running};
