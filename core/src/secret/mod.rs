//! Secrets. Types decide which code may read them.

mod error;
mod key;
mod proof;
mod seal;
mod sealed;
mod service;

pub use self::error::SecretError;
pub use self::key::OpenKey;
pub(crate) use self::key::{BEARER, Form, Key, TOKEN};
pub(crate) use self::proof::Proof;
pub(crate) use self::seal::{Claims, SealKey};
pub(crate) use self::sealed::Secret;
pub(crate) use self::service::ServiceSecret;
