//! The lessons of the reply to a forwarded request: that its token was used, and whether its keys work.
//!
//! Only a reply of the upstream's own counts. Nothing is read of it that is not needed.

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
    /// The provider's key and the gateway's, where something is to be learnt of them.
    keys: [Option<SentKey>; 2],
    /// True if the candidate of a rollout decided, to which the keys belong.
    pub(crate) by_candidate: bool,
}

/// A key that went upstream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentKey {
    pub(crate) used: UsedKey,
    /// How long it rests when it is refused, where another can take its place.
    pub(crate) cooldown: Option<Duration>,
}

impl Sent {
    pub(crate) fn add(&mut self, key: SentKey) {
        if let Some(place) = self.keys.iter_mut().find(|place| place.is_none()) {
            *place = Some(key);
        }
    }

    /// Returns whether nothing is to be learnt.
    pub fn is_nothing(&self) -> bool {
        self.token.is_none() && self.keys().next().is_none()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = SentKey> {
        self.keys.into_iter().flatten()
    }
}

/// The head of an answer, as far as the engine asks for it.
pub trait AnswerHead {
    /// The first value of a header, or of `:status`.
    fn value(&self, name: &'static str) -> Option<Vec<u8>>;

    /// Returns whether the upstream gave the reply, and not the host in its stead.
    fn is_of_upstream(&self) -> bool;
}

/// How long an upstream asks to be left alone (RFC 9110 section 10.2.3), where it says so in seconds.
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
