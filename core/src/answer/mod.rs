//! The engine's own answers: errors, their reasons, and replies in the dialect of the caller's SDK.

mod certificate_error;
pub(crate) mod cors;
mod error;
mod hidden;
mod reason;
mod reply;
mod resource;
mod stage;
mod text;

pub use self::certificate_error::CertificateError;
pub(crate) use self::cors::Origins;
pub use self::error::CheckError;
pub(crate) use self::hidden::{Hidden, UPLOAD_ADDRESS};

pub use self::reason::Reason;
pub(crate) use self::reason::is_forwarded;
pub(crate) use self::reply::Withheld;
pub use self::reply::{LocalReply, ResponseHeader, ResponseHeaders, UpstreamFailure};
pub(crate) use self::resource::Resource;
pub use self::stage::Stage;
pub use self::text::HeaderText;
