//! The change feed: what changed after a number, or a wait until something does.
//!
//! Changes are committed in the order of their numbers, so a reader that goes on from the number it was told has
//! missed nothing. Of each key only the newest change is kept: a reader looks the key up, and does not replay.

use std::time::Duration;

use tokio::time::Instant;

use super::handle::{Registry, Result};
use super::record::change::Feed;

/// The most changes in one answer.
const MAX_CHANGES: i64 = 1000;

impl Registry {
    /// Returns the place where a reader begins that knows nothing yet.
    pub async fn newest_change(&self) -> Result<Feed> {
        Ok(Feed { sequence: self.0.sequence().await?, reset: false, changes: Vec::new() })
    }

    /// Returns the changes after `since`. If there are none, waits for one, for `wait` at most.
    pub async fn changes(&self, since: i64, wait: Duration) -> Result<Feed> {
        let deadline = Instant::now() + wait;
        // Made before looking: a change after the look wakes it.
        let mut waiter = self.0.waiter();
        loop {
            let feed = self.changes_now(since).await?;
            let is_over = Instant::now() >= deadline;
            if feed.reset || !feed.changes.is_empty() || is_over {
                return Ok(feed);
            }
            // When the time is over, the loop looks once more.
            let _ = tokio::time::timeout_at(deadline, waiter.changed()).await;
        }
    }

    async fn changes_now(&self, since: i64) -> Result<Feed> {
        // Read first: every change up to it is seen by the next statement.
        let newest = self.0.sequence().await?;
        let reset = since > newest;
        let changes = self.0.changes(if reset { 0 } else { since }, MAX_CHANGES).await?;
        let last = changes.last().map_or(newest, |change| change.sequence);
        // A full answer may leave out some; one that is not full may be newer than the number read before.
        let is_full = i64::try_from(changes.len()).is_ok_and(|count| count == MAX_CHANGES);
        let sequence = if is_full { last } else { last.max(newest) };
        Ok(Feed { sequence, reset, changes })
    }
}
