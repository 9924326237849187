//! Lists of API keys of other proxies.

mod auth;
mod key;
mod lists;
mod secrets;

pub(super) use self::auth::ApiKeyAuth;
pub(super) use self::key::{Found, note_source, token};
pub(super) use self::secrets::Secrets;
