//! A source of tokens in Kubernetes: each labelled Secret of some namespaces declares one token.
//!
//! An author of Secrets decides no more than the file of bounds lets the namespace decide: providers, models, owners, rate
//! limit. The team is the file's alone. A Secret with faults declares nothing, and is named without its content. The value of a
//! Secret is hashed where it is read, and is neither stored nor logged.
//!
//! The API is read as documented: a list, then a watch from its version, and another list where the version is too old
//! (Kubernetes API Concepts, "Efficient detection of changes"). Nothing is written to the API.

mod bounds;

mod secret;

mod api;

mod status;

mod source;

pub use api::Api;
pub use bounds::{Bounds, MAX_BOUNDS_BYTES};
pub use source::Source;
pub use status::{NamespaceStatus, Status};
