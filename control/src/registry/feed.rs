//! The change feed: the changes after a sequence number, or a wait for the next one.
//!
//! Changes are committed in the order of their sequence numbers, so a reader that continues from the last number misses
//! no change. Only the newest change of each key is kept: a reader looks the key up instead of replaying changes.
//!
//! Each change has a random value, its history. A reader tells the one of its last number, and starts anew if the database
//! has another one there: it was restored from a backup, or is not the one that the reader followed.

use std::time::Duration;

use tokio::time::Instant;

use super::handle::{Registry, Result};
use super::record::change::Feed;

/// The largest number of changes in one answer.
const MAX_CHANGES: i64 = 1000;

impl Registry {
    /// Returns the sequence number of the newest change, from which a new reader starts, without any changes.
    pub async fn newest_change(&self) -> Result<Feed> {
        let sequence = self.0.sequence().await?;
        let history = self.0.history(sequence).await?;
        Ok(Feed { sequence, history, reset: false, changes: Vec::new() })
    }

    /// Returns at most 1000 changes after `since`. Without a change, waits for one, at most for `wait`. `history` is that
    /// of the change `since`, `None` for readers that do not tell it.
    pub async fn changes(&self, since: i64, history: Option<&str>, wait: Duration) -> Result<Feed> {
        let deadline = Instant::now() + wait;
        // Created before the query, so a change after the query wakes it.
        let mut waiter = self.0.waiter();
        loop {
            let feed = self.changes_now(since, history).await?;
            let is_over = Instant::now() >= deadline;
            if feed.reset || !feed.changes.is_empty() || is_over {
                return Ok(feed);
            }
            // After the deadline the loop queries once more.
            let _ = tokio::time::timeout_at(deadline, waiter.changed()).await;
        }
    }

    async fn changes_now(&self, since: i64, history: Option<&str>) -> Result<Feed> {
        // Read first, so that the next statement sees every change up to this number.
        let newest = self.0.sequence().await?;
        let is_foreign = match history {
            Some(told) => self.0.history(since).await?.as_deref() != Some(told),
            None => false,
        };
        let reset = since > newest || is_foreign;
        let changes = self.0.changes(if reset { 0 } else { since }, MAX_CHANGES).await?;
        let last = changes.last().map_or(newest, |change| change.sequence);
        // A full page may leave out changes. A page that is not full may contain changes newer than `newest`.
        let is_full = i64::try_from(changes.len()).is_ok_and(|count| count == MAX_CHANGES);
        let sequence = if is_full { last } else { last.max(newest) };
        Ok(Feed { sequence, history: self.0.history(sequence).await?, reset, changes })
    }
}
