//! Taking from rate limits, for hosts that share no memory.

use std::sync::atomic::{AtomicU64, Ordering};

use keyswap_core::TokenDigest;

use super::gcra::Gcra;
pub use super::gcra::Taken;
use super::rate_limit::RateLimit;
use super::{Registry, RegistryError, Result, since_1970};

/// How often the keys with a full budget are forgotten, in seconds.
const FORGET_INTERVAL: u64 = 60;

static FORGOTTEN_AT: AtomicU64 = AtomicU64::new(0);

impl Registry {
    /// Takes one request from the limit of `key`: a token, or whatever else a data plane counts under a SHA-256.
    /// The token's own limit goes before `default`.
    pub async fn take(&self, key: &TokenDigest, default: Option<RateLimit>) -> Result<Taken> {
        let own = match self.token(key).await {
            Ok(token) => token.rate_limit,
            Err(RegistryError::UnknownToken) if default.is_some() => None,
            Err(error) => return Err(error),
        };
        let limit = own.or(default).ok_or(RegistryError::NoRateLimit)?;
        let since_1970 = since_1970();
        let now = i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX);
        let taken = self.0.take(&key.to_hex(), Gcra::new(limit), now).await?;
        if is_time_to_forget(since_1970.as_secs()) {
            self.0.forget_full(now).await?;
        }
        Ok(taken)
    }
}

/// True for one caller in each interval.
fn is_time_to_forget(now: u64) -> bool {
    let last = FORGOTTEN_AT.load(Ordering::Relaxed);
    now.abs_diff(last) >= FORGET_INTERVAL
        && FORGOTTEN_AT.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}
