//! Wakes those who wait for a change.
//!
//! A wake may come without a change, so a waiter that is woken looks again; a change never goes by without a wake.

use std::sync::Arc;

use tokio::sync::watch;

/// A place where changes are announced and waited for.
#[derive(Clone)]
pub(super) struct Wake {
    changed: Arc<watch::Sender<()>>,
    waiting: Arc<watch::Sender<usize>>,
}

/// A handler that waits. A change that is announced after this was made is not missed.
pub(in crate::registry) struct Waiter {
    changed: watch::Receiver<()>,
    waiting: Arc<watch::Sender<usize>>,
}

impl Wake {
    pub(super) fn new() -> Self {
        Self { changed: Arc::new(watch::Sender::new(())), waiting: Arc::new(watch::Sender::new(0)) }
    }

    /// Wakes all waiters.
    pub(super) fn announce(&self) {
        self.changed.send_replace(());
    }

    pub(super) fn waiter(&self) -> Waiter {
        self.waiting.send_modify(|count| *count += 1);
        Waiter { changed: self.changed.subscribe(), waiting: Arc::clone(&self.waiting) }
    }

    /// Returns when there is a waiter.
    pub(super) async fn until_somebody_waits(&self) {
        // The sender lives as long as this does, so the wait ends in one way only.
        let _ = self.waiting.subscribe().wait_for(|count| *count > 0).await;
    }
}

impl Waiter {
    /// Returns at the next announcement. The announcing side lives as long as the store.
    pub(in crate::registry) async fn changed(&mut self) {
        let _ = self.changed.changed().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiting.send_modify(|count| *count = count.saturating_sub(1));
    }
}
