//! The way of a request through Envoy, the same in the proxy-wasm filter and in the dynamic module.
//!
//! The crate hands each head and each slice of a body to the engine, and carries out what comes back. A [`Host`] makes the
//! calls of its ABI. Nothing here decides: `keyswap-core` does. A request that could not be rewritten completely is not
//! forwarded.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

// The floors, ground up: a module imports from those above it in this list, never from those below it.

mod lines;

mod metric;

mod tally;

mod host;

mod request;

mod fetcher;

mod shared;

mod answer;

mod brokered;

mod upload;

mod download;

mod stream;

mod rounds;

#[cfg(test)]
mod given_up;

pub use crate::host::{Action, Body, Host, HostError, Map, Need};
pub use crate::lines::{Lines, Malformed};
pub use crate::metric::{FAMILIES, GAUGE_LABEL, GAUGES, MAX_LABELS, Metric, WATCHED};
pub use crate::request::Request;
pub use crate::rounds::{abandon, answered, give_up, work};
pub use crate::shared::Shared;
pub use crate::stream::Stream;
