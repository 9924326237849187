//! What is learnt from the answer to a forwarded request: that its token was used, and whether its key works.
//!
//! Only an answer of the upstream's own counts. Nothing is read of it that nobody needs.

use std::time::Duration;

use crate::token::TokenDigest;
use crate::upstream::UsedKey;

/// What is to be learnt from the answer to a forwarded request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// A token that the registry knows.
    pub(crate) token: Option<TokenDigest>,
    /// A key that another could take the place of.
    pub(crate) key: Option<SentKey>,
}

impl Sent {
    /// Whether nothing is to be learnt.
    pub fn is_nothing(&self) -> bool {
        self.token.is_none() && self.key.is_none()
    }
}

/// A key, and the upstream that got it, by its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentKey {
    pub(crate) upstream: usize,
    pub(crate) used: UsedKey,
}

/// The head of an answer, as far as the engine asks for it.
pub trait AnswerHead {
    /// The first value of a header, or of `:status`.
    fn value(&self, name: &'static str) -> Option<Vec<u8>>;

    /// Whether the upstream gave the answer, and not the host in its stead.
    fn is_of_upstream(&self) -> bool;
}

/// How long an upstream asks to be left alone (RFC 9110 section 10.2.3), where it says so in seconds.
pub(crate) fn retry_after(answer: &dyn AnswerHead) -> Option<Duration> {
    let text = answer.value("retry-after")?;
    str::from_utf8(&text).ok()?.trim().parse().ok().map(Duration::from_secs)
}
