//! The proof that a caller's token is known, active and not expired.

use std::sync::Arc;

use crate::answer::CheckError;
use crate::base::{Digest, UnixTime};
use crate::identity::{CallerRecord, TokenStatus};

/// The longest token that is read, in bytes. A proxy token has 36 characters. Only a policy allows longer JWTs.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Hashes a token of at most so many bytes, as a caller sent it.
pub(super) fn digest_within(token: &[u8], longest: usize) -> Option<Digest> {
    (token.len() <= longest).then(|| Digest::of(token))
}

/// Returns whether a token is short enough to be read.
pub(super) fn is_readable(token: &[u8]) -> bool {
    token.len() <= MAX_TOKEN_BYTES
}

/// Hashes a token as a caller sent it; `None` where it is too long to be read.
pub(super) fn digest_of_sent(token: &[u8]) -> Option<Digest> {
    digest_within(token, MAX_TOKEN_BYTES)
}

/// Proof that a caller presented a token that is known, active and not expired. Only [`VerifiedToken::judge`]
/// makes one.
pub(crate) struct VerifiedToken(Arc<CallerRecord>);

impl VerifiedToken {
    pub(crate) fn judge(record: &Arc<CallerRecord>, now: UnixTime) -> Result<Self, CheckError<'static>> {
        if record.status == TokenStatus::Disabled {
            return Err(CheckError::TokenDisabled);
        }
        match record.expires_at {
            Some(at) if at <= now => Err(CheckError::TokenExpired(at)),
            _ => Ok(Self(Arc::clone(record))),
        }
    }

    pub(crate) fn record(&self) -> &CallerRecord {
        &self.0
    }

    pub(crate) fn arc(&self) -> &Arc<CallerRecord> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{CallerKind, Models, Scope};

    #[test]
    fn expiry_is_judged_to_the_second_and_disabled_comes_first() {
        let record = |status, expires_at| {
            Arc::new(CallerRecord {
                kind: CallerKind::Token,
                digest: Digest::of(b"t"),
                holder: Digest::of(b"t"),
                label: String::new(),
                owner: None,
                team: None,
                status,
                scope: Scope::default(),
                models: Models::all(),
                expires_at,
                rate_limit: None,
                ended_sessions: Vec::new(),
            })
        };
        let judge = |record: Arc<CallerRecord>| VerifiedToken::judge(&record, UnixTime(100)).err();
        assert_eq!(judge(record(TokenStatus::Active, None)), None);
        assert_eq!(judge(record(TokenStatus::Active, Some(UnixTime(101)))), None);
        assert_eq!(
            judge(record(TokenStatus::Active, Some(UnixTime(100)))),
            Some(CheckError::TokenExpired(UnixTime(100)))
        );
        assert_eq!(judge(record(TokenStatus::Disabled, Some(UnixTime(99)))), Some(CheckError::TokenDisabled));
    }

    #[test]
    fn an_overlong_token_is_not_read() {
        let longest = vec![b'a'; MAX_TOKEN_BYTES];
        assert_eq!(digest_of_sent(&longest), Some(Digest::of(&longest)));
        assert_eq!(digest_of_sent(&[longest, vec![b'a']].concat()), None);
    }
}
