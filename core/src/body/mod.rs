//! Bodies: scanners that are fed slice by slice, hold no byte back, and keep a fixed state.

mod bytes;
mod events;
mod follower;
mod grammar;
mod paths;
mod text;

pub use self::events::{Events, MAX_EVENT_NAME_BYTES, Part};
pub use self::follower::{Event, Follower, MAX_DEPTH};
pub use self::grammar::{JsonError, MAX_TEXT_BYTES, Scalar};
pub use self::paths::{MAX_PATHS, MAX_SEGMENTS, Paths, Shape};
