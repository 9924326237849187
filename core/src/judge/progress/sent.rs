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
