//! The proof that a caller's token is known, active, not expired, and brought by the connection that it is bound to.

use std::sync::Arc;

use crate::answer::{CertificateError, CheckError};
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

/// Proof that a caller presented a token that is known, active and not expired, over a connection with the client certificate
/// that the token is bound to. Only [`VerifiedToken::judge`] makes one.
pub(crate) struct VerifiedToken(Arc<CallerRecord>);

impl VerifiedToken {
    /// Judges a record. `presented` returns the SHA-256 of the connection's certificate, and is asked for a bound token only.
    ///
    /// # Errors
    /// The first check that fails. Only a token that is otherwise valid learns that it has expired.
    pub(crate) fn judge(
        record: &Arc<CallerRecord>,
        presented: impl FnOnce() -> Option<Digest>,
        now: UnixTime,
    ) -> Result<Self, CheckError<'static>> {
        if record.status == TokenStatus::Disabled {
            return Err(CheckError::TokenDisabled);
        }
        if let Some(bound) = record.certificate {
            check_bound(bound, presented())?;
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

/// Checks that the connection has the certificate that a token is bound to (RFC 8705 section 3).
#[cold]
fn check_bound(bound: Digest, presented: Option<Digest>) -> Result<(), CheckError<'static>> {
    match presented {
        Some(presented) if presented == bound => Ok(()),
        Some(_) => Err(CheckError::Certificate(CertificateError::Differs)),
        None => Err(CheckError::Certificate(CertificateError::Missing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{CallerKind, Models, Scope};

    fn record(
        status: TokenStatus,
        expires_at: Option<UnixTime>,
        certificate: Option<Digest>,
    ) -> CallerRecord {
        CallerRecord {
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
            certificate,
            budget: None,
        }
    }

    fn judge(record: CallerRecord, presented: Option<Digest>) -> Option<CheckError<'static>> {
        VerifiedToken::judge(&Arc::new(record), || presented, UnixTime(100)).err()
    }

    #[test]
    fn expiry_is_judged_to_the_second_and_disabled_comes_first() {
        let judge = |status, expires_at| judge(record(status, expires_at, None), None);
        assert_eq!(judge(TokenStatus::Active, None), None);
        assert_eq!(judge(TokenStatus::Active, Some(UnixTime(101))), None);
        assert_eq!(
            judge(TokenStatus::Active, Some(UnixTime(100))),
            Some(CheckError::TokenExpired(UnixTime(100)))
        );
        assert_eq!(judge(TokenStatus::Disabled, Some(UnixTime(99))), Some(CheckError::TokenDisabled));
    }

    #[test]
    fn a_bound_token_is_for_the_connection_with_its_certificate_and_an_unbound_one_asks_for_none() {
        let [own, other] = [Digest::of(b"own"), Digest::of(b"other")];
        let bound = |expires_at| record(TokenStatus::Active, expires_at, Some(own));
        assert_eq!(judge(bound(None), Some(own)), None);
        assert_eq!(judge(bound(None), Some(other)), Some(CheckError::Certificate(CertificateError::Differs)));
        assert_eq!(judge(bound(None), None), Some(CheckError::Certificate(CertificateError::Missing)));
        assert_eq!(
            judge(bound(Some(UnixTime(1))), Some(other)),
            Some(CheckError::Certificate(CertificateError::Differs))
        );
        let unbound = Arc::new(record(TokenStatus::Active, None, None));
        let judged = VerifiedToken::judge(&unbound, || panic!("the host is asked"), UnixTime(100));
        assert!(judged.is_ok());
    }

    #[test]
    fn an_overlong_token_is_not_read() {
        let longest = vec![b'a'; MAX_TOKEN_BYTES];
        assert_eq!(digest_of_sent(&longest), Some(Digest::of(&longest)));
        assert_eq!(digest_of_sent(&[longest, vec![b'a']].concat()), None);
    }
}
