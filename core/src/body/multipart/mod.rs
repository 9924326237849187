//! Forms in parts (RFC 7578), fed slice by slice: the framing, and the heads of the parts.

mod form;
mod parameters;
mod part;

pub use self::form::{FormEvent, Multipart};
pub use self::part::FormError;
