//! The registry's replies about a token or a person.

use super::feed::Feed;
use crate::base::Digest;
use crate::identity::CallerRecord;
use crate::services::fetch::Position;

/// A reply of the registry.
#[allow(clippy::large_enum_variant, reason = "a reply is a record, but for those about unknown tokens")]
pub(super) enum Found {
    /// A record and its version.
    Record(CallerRecord, u64),
    Nothing,
}

impl Found {
    pub(super) fn is_believed(&self, feed: &Feed, digest: &Digest, as_of: Position) -> bool {
        match self {
            Self::Record(_, version) => feed.believes(digest, *version, as_of),
            Self::Nothing => feed.believes_absence(digest, as_of),
        }
    }
}
