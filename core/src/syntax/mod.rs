//! Parsers of input that others control: strict, byte-exact, and without any meaning of their own.

pub(crate) mod base64url;
mod escape;
pub(crate) mod glob;
pub(crate) mod json;
mod path;
pub(crate) mod query;
mod reserved;
mod spelling;
pub(crate) mod subprotocol;
mod text;
mod url;

pub(crate) use self::escape::{FORM, UNRESERVED};
pub use self::path::PathError;
pub(crate) use self::path::RequestPath;
pub(crate) use self::reserved::{HeaderName, read};
pub(crate) use self::spelling::is_spelling_of;
pub use self::text::is_line;
pub(crate) use self::text::moves_text;
pub use self::text::{is_email, is_plain_name};
pub use self::url::BaseUrl;
pub(crate) use self::url::{host_of, is_exposed, is_host, site};
