//! Ground: time, digests, pauses, bounded memory.

pub(crate) mod bytes;
mod cache;
mod digest;
mod pause;
mod time;

pub(crate) use self::cache::Cache;
pub use self::digest::Digest;
pub(crate) use self::pause::{Pause, doubled};
pub use self::time::{Moment, UnixTime};
