//! A request as a host hands it over.

use crate::base::Moment;
use crate::host::Store;
use crate::request::RequestHead;

/// A request head, with the time and the shared memory that it is judged by.
#[derive(Clone, Copy)]
pub struct Request<'a, 'r> {
    /// The head.
    pub head: &'r RequestHead<'a>,
    /// The time of the request, by the host's clock.
    pub now: Moment,
    /// The memory that the workers of the process share.
    pub store: &'r dyn Store,
}
