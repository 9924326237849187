//! The requests of a load, and their expected status.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Requests that are sent in rotation.
#[derive(Debug)]
pub(crate) struct Requests {
    all: Vec<Box<[u8]>>,
    /// The number of padding bytes after each request's own bytes.
    pub(super) padding: usize,
    /// The bytes after the padding.
    pub(super) tail: &'static str,
    /// The expected status of each answer.
    pub(super) status: u16,
    next: AtomicUsize,
}

impl Requests {
    /// Returns a rotation of requests, each in its final form, with their expected status.
    pub(crate) fn new(all: impl IntoIterator<Item = String>, status: u16) -> Arc<Self> {
        let all = all.into_iter().map(|request| request.into_bytes().into_boxed_slice()).collect();
        Arc::new(Self { all, padding: 0, tail: "", status, next: AtomicUsize::default() })
    }

    /// Returns a rotation of one request, followed by `padding` bytes of body and by `tail`.
    pub(crate) fn padded(request: String, padding: usize, tail: &'static str) -> Arc<Self> {
        let all = vec![request.into_bytes().into_boxed_slice()];
        Arc::new(Self { all, padding, tail, status: 200, next: AtomicUsize::default() })
    }

    /// Returns the first request.
    pub(crate) fn first(&self) -> &[u8] {
        self.all.first().map_or(&[], |request| request)
    }

    /// Returns the next request.
    pub(super) fn next(&self) -> &[u8] {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len().max(1);
        self.all.get(place).map_or(&[], |request| request)
    }
}
