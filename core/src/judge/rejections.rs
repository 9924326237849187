//! Keys of the policy that upstreams reject, as operators hear of them.

use super::engine::Engine;
use super::progress::REJECTIONS;
use super::tell::Observation;
use crate::upstream::Upstream;

impl Engine {
    /// Returns the observation of an upstream that rejects a key with this status; `None` where this policy has no such upstream.
    pub(crate) fn rejected(&self, upstream: u32, status: &str) -> Option<Observation> {
        let upstream = self.upstreams.get(usize::try_from(upstream).ok()?)?;
        Some(Observation::rejected(status, &upstream.provider))
    }

    /// Returns the observations of keys that upstreams may reject, each with a count of 0.
    pub(crate) fn rejectable(&self) -> impl Iterator<Item = Observation> {
        let has_key = |upstream: &&Upstream| upstream.keys.is_some() || upstream.gateway_key.is_some();
        self.upstreams.iter().filter(has_key).flat_map(|upstream| {
            let none = |status| Observation { count: 0, ..Observation::rejected(status, &upstream.provider) };
            REJECTIONS.map(none)
        })
    }
}
