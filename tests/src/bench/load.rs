//! The load: a small client on one thread, which also runs the upstream and the other services that proxies call.
//!
//! The load generators in Debian and on crates.io lack one of three properties. The load must rotate over thousands of
//! tokens. Latency must count from the time that a request is *due*: a client that waits for a slow answer before the
//! next request hides the slowness. It must also cost less than the measured proxy, since both share two cores.

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
