//! Texts of a file of cases: request heads as HTTP/1.1 has them, and placeholders in double braces.

mod head;
mod template;

pub use head::{HeadError, parse_head};
pub(crate) use template::{asks_for_identity, expand, fill, labels, stand_in};
