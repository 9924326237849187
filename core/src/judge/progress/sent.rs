//! The lessons of the reply to a forwarded request: that its token was used, and whether its keys work.
//!
//! Only an upstream's own reply counts, and only the headers that are needed are read.

use std::time::Duration;

use crate::base::Digest;
use crate::upstream::UsedKey;

/// The subjects of which the reply to a forwarded request tells something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// A token that the registry knows.
    pub(crate) token: Option<Digest>,
    /// The principal of the request.
    pub(crate) principal: Option<Digest>,
    /// The provider's key and the gateway's, where the reply tells something of them.
    keys: [Option<SentKey>; 2],
    /// Set where the candidate of a rollout decided, to which the keys belong.
    pub(crate) by_candidate: bool,
    /// Set where a key of the policy goes upstream, and not the caller's own alone.
    pub(crate) has_own_key: bool,
    /// The number of the upstream.
    pub(crate) upstream: u32,
}

/// The statuses with which an upstream rejects a key: it is not valid, or may not do this.
pub(crate) const REJECTIONS: [&str; 2] = ["401", "403"];

/// The key of the policy that an upstream may reject.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnKey {
    pub(crate) upstream: u32,
    pub(crate) by_candidate: bool,
}

/// A key that went upstream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentKey {
    pub(crate) used: UsedKey,
    /// The cooldown of a refused key, where another can take its place.
    pub(crate) cooldown: Option<Duration>,
}

impl Sent {
    pub(crate) fn add(&mut self, key: SentKey) {
        if let Some(place) = self.keys.iter_mut().find(|place| place.is_none()) {
            *place = Some(key);
        }
    }

    /// Returns the key of the policy that goes upstream.
    pub(crate) fn own_key(&self) -> Option<OwnKey> {
        let Self { upstream, by_candidate, .. } = *self;
        self.has_own_key.then_some(OwnKey { upstream, by_candidate })
    }

    /// Returns whether the reply teaches nothing.
    pub fn is_nothing(&self) -> bool {
        self.token.is_none() && self.keys().next().is_none()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = SentKey> {
        self.keys.into_iter().flatten()
    }
}

/// The head of an answer, as far as the engine reads it.
pub trait AnswerHead {
    /// Returns the first value of a header, or of `:status`.
    fn value(&self, name: &'static str) -> Option<Vec<u8>>;

    /// Returns whether the upstream gave the reply, and not the host in its stead.
    fn is_of_upstream(&self) -> bool;
}

/// Returns the status with which an upstream rejects the key; `None` for every other answer.
pub(crate) fn rejection(answer: &dyn AnswerHead) -> Option<&'static str> {
    let status = answer.value(":status")?;
    let rejection = REJECTIONS.into_iter().find(|rejection| rejection.as_bytes() == status)?;
    answer.is_of_upstream().then_some(rejection)
}

/// Returns the time for which an upstream asks for no further requests (RFC 9110 section 10.2.3); `None` unless it is
/// in seconds.
pub(crate) fn retry_after(answer: &dyn AnswerHead) -> Option<Duration> {
    let text = answer.value("retry-after")?;
    str::from_utf8(&text).ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The head of an upstream's answer, as a status and fields.
pub struct AnswerFields<'a> {
    /// The status.
    pub status: u16,
    /// The fields, line by line: names in any case, and values.
    pub fields: &'a [(&'a [u8], &'a [u8])],
}

impl AnswerHead for AnswerFields<'_> {
    fn value(&self, name: &'static str) -> Option<Vec<u8>> {
        if name == ":status" {
            return Some(self.status.to_string().into_bytes());
        }
        let found = self.fields.iter().find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| value.to_vec())
    }

    fn is_of_upstream(&self) -> bool {
        true
    }
}
