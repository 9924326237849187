//! The change feed: what changed after a number, or a wait until something does.
//!
//! Changes are committed in the order of their numbers, so a reader that goes on from the number it was told has
//! missed nothing. Of each key only the newest change is kept: a reader looks the key up, and does not replay.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::{Registry, Result};

/// The most changes in one answer.
const MOST: i64 = 1000;

/// What a change is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A token, by its digest.
    Token,
    /// A user, by their address.
    User,
}

impl Subject {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::User => "user",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Token, Self::User].into_iter().find(|subject| subject.name() == name)
    }
}

/// A token or user that changed, came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Change {
    /// What it is.
    pub kind: Subject,
    /// Its digest or address.
    pub key: String,
    /// The number of its newest change.
    pub sequence: i64,
}

/// A part of the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Feed {
    /// Where to go on.
    pub sequence: i64,
    /// The reader is ahead of the database, which was put back to an earlier state: what the reader knows may be
    /// wrong, and this part begins at the beginning.
    pub reset: bool,
    /// What changed, the oldest first.
    pub changes: Vec<Change>,
}

impl Registry {
    /// Where a reader begins that knows nothing yet.
    pub async fn newest_change(&self) -> Result<Feed> {
        Ok(Feed { sequence: self.0.sequence().await?, reset: false, changes: Vec::new() })
    }

    /// What changed after `since`. If nothing did, waits until something does, for `wait` at most.
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
        let changes = self.0.changes(if reset { 0 } else { since }, MOST).await?;
        let last = changes.last().map_or(newest, |change| change.sequence);
        // A full answer may leave out some; one that is not full may be newer than the number read before.
        let is_full = i64::try_from(changes.len()).is_ok_and(|count| count == MOST);
        let sequence = if is_full { last } else { last.max(newest) };
        Ok(Feed { sequence, reset, changes })
    }
}
