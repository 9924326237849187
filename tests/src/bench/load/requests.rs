//! The requests of a load, and the answer that they must get.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Requests that are sent one after the other, and after the last from the first again.
#[derive(Debug)]
pub(crate) struct Requests {
    all: Vec<Box<[u8]>>,
    /// So many bytes more of each body.
    pub(super) padding: usize,
    /// The status that each must be answered with.
    pub(super) status: u16,
    next: AtomicUsize,
}

impl Requests {
    /// Takes requests as they are sent, and the status that each must be answered with.
    pub(crate) fn new(all: impl IntoIterator<Item = String>, status: u16) -> Arc<Self> {
        let all = all.into_iter().map(|request| request.into_bytes().into_boxed_slice()).collect();
        Arc::new(Self { all, padding: 0, status, next: AtomicUsize::default() })
    }

    /// Takes one request, of which only the beginning is given; so many bytes come behind it.
    pub(crate) fn padded(request: String, padding: usize) -> Arc<Self> {
        let all = vec![request.into_bytes().into_boxed_slice()];
        Arc::new(Self { all, padding, status: 200, next: AtomicUsize::default() })
    }

    /// Returns the first.
    pub(crate) fn first(&self) -> &[u8] {
        self.all.first().map_or(&[], |request| request)
    }

    /// Returns the next.
    pub(super) fn next(&self) -> &[u8] {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len().max(1);
        self.all.get(place).map_or(&[], |request| request)
    }
}
