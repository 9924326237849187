//! Wake-ups of handlers that wait for a change.
//!
//! Every change wakes all waiters. A wake-up may come without a change, so a waiter queries the database again.

use std::sync::Arc;

use tokio::sync::watch;

/// A channel on which changes are announced.
#[derive(Clone)]
pub(super) struct Wake {
    changed: Arc<watch::Sender<()>>,
    waiting: Arc<watch::Sender<usize>>,
}

/// A subscription of a waiting handler. It misses no change that is announced after its creation.
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

    /// Waits until there is a waiter.
    pub(super) async fn until_somebody_waits(&self) {
        // `self` holds the sender, so the wait ends only with a waiter.
        let _ = self.waiting.subscribe().wait_for(|count| *count > 0).await;
    }
}

impl Waiter {
    /// Waits for the next announcement. The sender lives as long as the store.
    pub(in crate::registry) async fn changed(&mut self) {
        let _ = self.changed.changed().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiting.send_modify(|count| *count = count.saturating_sub(1));
    }
}
