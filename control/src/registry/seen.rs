//! The last use of a credential or an API key, noted beside the request.

use keyswap_core::base::{Digest, UnixTime};

use super::handle::Registry;
use super::record::clock::now;
use super::store::seen::Presented;

/// The interval in which a use is stored again.
const SEEN_INTERVAL_SECONDS: i64 = 60;

impl Registry {
    /// Stores the use of a secret, unless one of the last minute is stored or another use is being stored. A request does not
    /// wait for it: lookups must not depend on a writer.
    pub(super) fn note_use(&self, what: Presented, digest: Digest, last_seen: Option<UnixTime>) {
        let before = UnixTime(now().0.saturating_sub(SEEN_INTERVAL_SECONDS));
        if last_seen.is_some_and(|at| at > before) {
            return;
        }
        let Ok(permit) = self.0.noting.clone().try_acquire_owned() else { return };
        let store = self.0.clone();
        tokio::spawn(async move {
            if let Err(error) = store.see(what, &digest, now(), before).await {
                tracing::warn!(%error, ?what, "cannot note a use");
            }
            drop(permit);
        });
    }
}
