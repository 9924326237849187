//! Entries of the change feed.

use serde::Serialize;

/// The kind of the changed object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A token, identified by its SHA-256.
    Token,
    /// A user, identified by the email address.
    User,
    /// An object that a caller keeps at a provider, identified by its SHA-256.
    Object,
}

impl Subject {
    pub(in crate::registry) fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::User => "user",
            Self::Object => "object",
        }
    }

    pub(in crate::registry) fn from_name(name: &str) -> Option<Self> {
        [Self::Token, Self::User, Self::Object].into_iter().find(|subject| subject.name() == name)
    }
}

/// A token or user that was created, changed or deleted, or an object that got or lost a holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Change {
    /// The kind of the object.
    pub kind: Subject,
    /// The SHA-256 of the token or the object in hexadecimal digits, or the user's email address.
    pub key: String,
    /// The sequence number of the object's newest change.
    pub sequence: i64,
}

/// A part of the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Feed {
    /// The sequence number to continue from.
    pub sequence: i64,
    /// The random value of that change, to be sent with the sequence number. It names the history that led there:
    /// another database, or an earlier state of this one, has another value. `None` if an older release made the change.
    #[schema(value_type = Option<String>, pattern = "^[0-9a-f]{16}$")]
    pub history: Option<String>,
    /// Set if the reader followed another history: of another database, or of this one before it was restored from a
    /// backup. The reader must discard all that it has cached; the changes start from the first.
    pub reset: bool,
    /// The changes, oldest first.
    pub changes: Vec<Change>,
}
