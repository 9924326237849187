//! The requests in progress of a connection that has several at a time.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// The number of requests in progress. Clones share it.
#[derive(Clone)]
pub(super) struct Activity(watch::Sender<u32>);

/// A request in progress, until it is dropped.
pub(super) struct Request(Activity);

impl Activity {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Counts a request.
    pub(super) fn begin(&self) -> Request {
        self.0.send_modify(|open| *open = open.saturating_add(1));
        Request(self.clone())
    }

    /// Waits until no request was in progress, and none has begun, for `patience`.
    pub(super) async fn idle(&self, patience: Duration) {
        let mut open = self.0.subscribe();
        loop {
            // `self` holds the sender, so neither wait ends with its drop.
            let _ = open.wait_for(|open| *open == 0).await.map(drop);
            if timeout(patience, open.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.0.send_modify(|open| *open = open.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_idle_only_without_requests() {
        let (activity, patience) = (Activity::new(), Duration::from_millis(5));
        let mut open = vec![activity.begin(), activity.begin()];
        while let Some(request) = open.pop() {
            assert!(
                timeout(patience * 10, activity.idle(patience)).await.is_err(),
                "a request is in progress"
            );
            drop(request);
        }
        activity.idle(patience).await;
    }
}
