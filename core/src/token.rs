//! Proxy tokens: known by their SHA-256 only, judged by status and expiry.
//!
//! The digest of what the caller sent is looked up; the token itself is never stored or compared, so its bytes
//! tell nothing through timing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::ascii::percent_decode;
use crate::fault::Fault;
use crate::limit::RateLimit;
use crate::time::UnixTime;

/// Longer tokens are refused unread. An identity JWT may come near it; a proxy token has 36 characters.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The SHA-256 of a token: the only form in which one is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token's bytes.
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// The digest of what a caller sent; `None` where it is too long to be read.
    pub(crate) fn of_sent(token: &[u8]) -> Option<Self> {
        (token.len() <= MAX_TOKEN_BYTES).then(|| Self::of(token))
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        (lower && hex::decode_to_slice(text, &mut digest).is_ok()).then_some(Self(digest))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest as 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// Whether a token may be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStatus {
    /// It may.
    Active,
    /// It was taken back, for now or for good.
    Disabled,
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its SHA-256.
    pub digest: TokenDigest,
    /// What people call it.
    pub label: String,
    /// Who answers for it: an email address.
    pub owner: Option<String>,
    /// Whether it may be used.
    pub status: TokenStatus,
    /// The names of the providers it is for.
    pub providers: Vec<String>,
    /// The models it is for; `*` is all.
    pub models: Vec<String>,
    /// From this moment on it is refused.
    pub expires_at: Option<UnixTime>,
    /// Its own rate limit, in place of the policy's.
    pub rate_limit: Option<RateLimit>,
}

impl TokenRecord {
    /// What a token is for that is not restricted to models.
    pub(crate) fn all_models() -> Vec<String> {
        vec!["*".to_owned()]
    }

    /// Whether it is restricted to some models.
    pub(crate) fn restricts_models(&self) -> bool {
        !self.models.iter().any(|model| model == "*")
    }

    /// A stable name for the token: the first 16 hexadecimal digits of its digest. It cannot be used as a token.
    pub fn id(&self) -> String {
        let (first, _) = self.digest.0.split_at(8);
        hex::encode(first)
    }
}

/// Who a request is from, for logs, metrics and metadata. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(Arc<TokenRecord>);

impl Principal {
    pub(crate) fn of(record: &Arc<TokenRecord>) -> Self {
        Self(Arc::clone(record))
    }

    /// The digest of the token.
    pub fn digest(&self) -> TokenDigest {
        self.0.digest
    }

    /// The token's stable name, see [`TokenRecord::id`].
    pub fn id(&self) -> String {
        self.0.id()
    }

    /// What people call the token.
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// The email address of who answers for the token, where the record has one.
    pub fn email(&self) -> Option<&str> {
        self.0.owner.as_deref()
    }
}

/// The tokens that stand in the policy itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenTable(BTreeMap<TokenDigest, Arc<TokenRecord>>);

impl TokenTable {
    pub(crate) fn new(records: impl IntoIterator<Item = TokenRecord>) -> Self {
        Self(records.into_iter().map(|record| (record.digest, Arc::new(record))).collect())
    }

    /// What is known of a token.
    pub(crate) fn find(&self, token: &TokenDigest) -> Option<&Arc<TokenRecord>> {
        self.0.get(token)
    }

    /// What is known of the token with this [`TokenRecord::id`], if that is the id of one token only. It is for what logs
    /// say, not for callers: nobody proves anything by an id.
    pub(crate) fn find_by_id(&self, id: &str) -> Option<&Arc<TokenRecord>> {
        let least = TokenDigest::from_hex(&format!("{id:0<64}"))?;
        let mut records =
            self.0.range(least..).map(|(_, record)| record).take_while(|record| record.id() == id);
        let found = records.next();
        found.filter(|_| records.next().is_none())
    }
}

/// Shorter tokens are not looked for in the rest of a request: they could stand there by chance.
const SHORTEST_SOUGHT: usize = 12;

/// Whether the token stands in the text, as it is or percent-encoded.
pub(crate) fn stands_in(text: &[u8], token: &[u8]) -> bool {
    // A token begins like others of its kind, so its last byte tells more, and costs less than to compare all.
    let last = token.last();
    let has = |text: &[u8]| text.windows(token.len()).any(|window| window.last() == last && window == token);
    token.len() >= SHORTEST_SOUGHT
        && text.len() >= token.len()
        && (has(text) || (text.contains(&b'%') && has(&percent_decode(text).collect::<Vec<u8>>())))
}

/// Proof that a caller presented a token that is known, active and not expired. Only [`VerifiedToken::judge`]
/// makes one.
pub(crate) struct VerifiedToken(Arc<TokenRecord>);

impl VerifiedToken {
    pub(crate) fn judge(record: &Arc<TokenRecord>, now: UnixTime) -> Result<Self, Fault<'static>> {
        if record.status == TokenStatus::Disabled {
            return Err(Fault::TokenDisabled);
        }
        match record.expires_at {
            Some(at) if at <= now => Err(Fault::TokenExpired(at)),
            _ => Ok(Self(Arc::clone(record))),
        }
    }

    pub(crate) fn record(&self) -> &TokenRecord {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_lower_case_digits() {
        let hex = TokenDigest::of(b"password").to_hex();
        assert_eq!(hex, "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8");
        assert_eq!(TokenDigest::from_hex(&hex), Some(TokenDigest::of(b"password")));
        for text in ["", "5e88", &hex.to_uppercase(), &format!("{hex}00"), &hex.replace('5', "g")] {
            assert_eq!(TokenDigest::from_hex(text), None, "{text}");
        }
    }

    #[test]
    fn expiry_is_judged_to_the_second_and_disabled_comes_first() {
        let record = |status, expires_at| {
            Arc::new(TokenRecord {
                digest: TokenDigest::of(b"t"),
                label: String::new(),
                owner: None,
                status,
                providers: Vec::new(),
                models: TokenRecord::all_models(),
                expires_at,
                rate_limit: None,
            })
        };
        let judge = |record: Arc<TokenRecord>| VerifiedToken::judge(&record, UnixTime(100)).err();
        assert_eq!(judge(record(TokenStatus::Active, None)), None);
        assert_eq!(judge(record(TokenStatus::Active, Some(UnixTime(101)))), None);
        assert_eq!(
            judge(record(TokenStatus::Active, Some(UnixTime(100)))),
            Some(Fault::TokenExpired(UnixTime(100)))
        );
        assert_eq!(judge(record(TokenStatus::Disabled, Some(UnixTime(99)))), Some(Fault::TokenDisabled));
    }

    #[test]
    fn an_overlong_token_is_not_read() {
        let longest = vec![b'a'; MAX_TOKEN_BYTES];
        assert_eq!(TokenDigest::of_sent(&longest), Some(TokenDigest::of(&longest)));
        assert_eq!(TokenDigest::of_sent(&[longest, vec![b'a']].concat()), None);
    }
}
