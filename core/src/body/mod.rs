//! Bodies: scanners that are fed slice by slice, hold no byte back, and keep a fixed state.

mod answer;
mod aws;
mod base64;
mod cut;
mod events;
mod fields;
mod follower;
mod form;
mod frames;
mod grammar;
mod ids;
mod list;
mod made;
mod multipart;
mod passing;
mod paths;
mod reader;
mod request;
mod request_body;
mod text;
mod tokens;
mod usage;

pub use self::answer::{AnswerHead, AnswerScanner, Finding, Purposes, TOKEN_COUNT_HEADERS, Unmetered};
pub use self::aws::{AwsError, AwsEvents, AwsPart};
pub use self::cut::Edit;
pub use self::events::{Events, MAX_EVENT_NAME_BYTES, Part};
pub use self::follower::Follower;
pub use self::frames::{FrameError, Frames, MessagePart, Sender};
pub use self::grammar::{Event, JsonError, MAX_DEPTH, MAX_TEXT_BYTES, Scalar};
pub use self::list::{ListFilter, Lists, MAX_ELEMENT_BYTES, MODELS};
pub(crate) use self::made::{MadeId, MadeScanner};
pub use self::multipart::{FormError, FormEvent, Multipart};
pub use self::paths::{MAX_PATHS, MAX_SEGMENTS, Paths, Shape};
pub use self::request::{Asked, BodyError, Named, RequestScanner, Splice, Splices};
pub use self::request_body::{RequestBody, RequestForm};
pub use self::usage::Usage;
