//! Bodies: scanners that are fed slice by slice, hold no byte back, and keep a fixed state.

mod events;
mod follower;
mod paths;
mod request;
mod text;

pub use self::events::{Events, MAX_EVENT_NAME_BYTES, Part};
pub use self::follower::{Event, Follower, JsonError, MAX_DEPTH, MAX_TEXT_BYTES, Scalar};
pub use self::paths::{MAX_PATHS, MAX_SEGMENTS, Paths};
pub use self::request::{Asked, BodyError, Named, RequestScanner, Splice, Splices};
