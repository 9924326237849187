//! The SDKs as developers use them: unmodified, locked packages, each call in a process of its own.
//!
//! A call runs a script of `tests/clients`, which prints one [`Event`] a line as it happens. The scripts check nothing;
//! the tests do. Variables that would configure an SDK are removed from its environment.

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
