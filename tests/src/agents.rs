//! Coding agents as developers run them: unmodified, locked packages, set up by the blocks of the book and of the dashboard.
//!
//! A run has a home folder of its own and none of the caller's variables. Other hosts are behind a proxy that refuses.

mod agent;
mod block;
mod machine;
mod rows;

pub use agent::{Agent, Origin};
pub use block::{ADDRESS, BLOCKS, TOKEN, block};
pub use machine::{Machine, Printed};
pub use rows::{AGENTS, selected};
