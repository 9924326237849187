//! Entries of the change feed.

use serde::Serialize;

/// The kind of thing that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A token, by its digest.
    Token,
    /// A user, by their address.
    User,
}

impl Subject {
    pub(in crate::registry) fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::User => "user",
        }
    }

    pub(in crate::registry) fn from_name(name: &str) -> Option<Self> {
        [Self::Token, Self::User].into_iter().find(|subject| subject.name() == name)
    }
}

/// A token or user that changed, came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Change {
    /// Its kind.
    pub kind: Subject,
    /// Its digest or address.
    pub key: String,
    /// The number of its newest change.
    pub sequence: i64,
}

/// A part of the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Feed {
    /// The number to go on from.
    pub sequence: i64,
    /// The reader is ahead of the database, which was put back to an earlier state: what the reader knows may be
    /// wrong, and this part begins at the beginning.
    pub reset: bool,
    /// The changes, the oldest first.
    pub changes: Vec<Change>,
}
