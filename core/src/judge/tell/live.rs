//! The query for a sign of life: `GET /.well-known/keyswap/live`.
//!
//! An orchestrator asks it through the engine, so that an engine that is stuck is found out. It needs no caller and no policy:
//! an outage of the registry must restart no data plane.

use crate::request::RequestHead;

const PATH: &[u8] = b"/.well-known/keyswap/live";

/// Tells whether a request asks for a sign of life.
#[inline]
pub(crate) fn is_live_query(head: &RequestHead<'_>) -> bool {
    head.path == PATH && matches!(head.method, b"GET" | b"HEAD")
}
