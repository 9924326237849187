//! The proxy: `wasi:http/incoming-handler`.
//!
//! Hosts let an instance serve one request after another, or each request have its own. Nothing here counts on either:
//! what is remembered saves calls and is never needed for a right answer.

mod call;
mod configuration;
mod exchange;
mod handler;
mod host;
mod instance;
mod pump;
mod reached;
mod reply;
mod request;
mod transfer;
mod upload;
