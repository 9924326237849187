//! The load: a small client on one thread, with the upstream and whatever else the proxies call beside it.
//!
//! Why not a load generator off the shelf: it has to rotate over thousands of tokens, to say when a request was *due* (a
//! client that waits for a slow answer before it sends the next request hides how slow it was), and to cost less than the
//! proxy that it measures, with which it shares two cores. None of those in Debian or on crates.io does all three.

mod client;
mod clock;
mod loader;
mod requests;
mod slice;
mod streams;

pub(super) use loader::Loader;
pub(super) use requests::Requests;
pub(super) use slice::{Pace, Slice, Taken};
pub(super) use streams::Streams;
