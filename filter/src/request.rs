//! A request, as far as it is kept while it waits, and while its answer is still to come.

use std::cell::{Cell, RefCell};

use keyswap_core::services::FetchKey;
use keyswap_core::worker::Exchange;

/// A request of a stream.
#[derive(Default)]
pub(crate) struct Request {
    /// The id of its context.
    pub(crate) id: u32,
    /// The number of its headers, as the host announced them.
    pub(crate) count: Cell<usize>,
    /// The fetch that it waits for.
    pub(crate) waits_for: RefCell<Option<FetchKey>>,
    /// The exchange with the upstream, once it was forwarded.
    pub(crate) exchange: RefCell<Exchange>,
    /// The bytes of the body that are held and judged already.
    pub(crate) held: Cell<usize>,
    /// Set once a part of the body has gone on.
    pub(crate) has_begun: Cell<bool>,
    /// The bytes of the answer's body that are held and read already.
    pub(crate) answer_held: Cell<usize>,
    /// Set where nothing of the answer follows those.
    pub(crate) answer_is_last: Cell<bool>,
    /// Set where a body follows the head.
    pub(crate) has_body: Cell<bool>,
    /// Set where the request passes as if the filter were not there.
    pub(crate) is_passed: Cell<bool>,
}
