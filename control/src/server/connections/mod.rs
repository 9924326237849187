//! HTTP/1.1 connections: TLS, how many may be open, and how long their clients may take.

mod channel;
mod places;
mod prompt;
mod tls;

mod serve;

pub(super) use channel::Channel;
pub use places::ConnectionLimits;
pub(super) use serve::serve;
pub use tls::{Tls, TlsFiles};
