//! HTTP/1.1 and HTTP/2 connections: TLS, how many may be open, and how long their clients may take.

mod activity;
mod channel;
mod files;
mod places;
mod prompt;

mod tls;

mod serve;

pub(super) use channel::Channel;
pub use files::TlsFiles;
pub use places::ConnectionLimits;
pub(super) use serve::serve;
pub use tls::{Tls, TlsState};
