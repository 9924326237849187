//! The proxy: `wasi:http/incoming-handler`.
//!
//! Hosts let an instance serve one request after another, or give each request its own. Nothing here depends on either:
//! caches save calls, and are never needed for a right answer.

mod brokered;
mod call;
mod configuration;
mod exchange;
mod handler;
mod host;
mod instance;
mod prepared;
mod pump;
mod reached;
mod reply;
mod request;
mod transfer;
mod upload;
