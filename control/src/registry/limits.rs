//! Rate limits that the registry counts, for hosts whose workers share no memory.

use std::sync::atomic::Ordering;

use keyswap_core::base::Digest;
use keyswap_core::limit::Gcra;
use serde::Serialize;

use super::handle::{Registry, Result};
use super::record::clock::since_1970;
use super::record::error::RegistryError;
use super::record::rate_limit::RateLimit;

/// The interval between deletions of keys whose budget is full.
const FORGET_INTERVAL_SECONDS: u64 = 60;

/// The result of taking one request from a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Taken {
    /// Set if the request is within the limit.
    pub allowed: bool,
    /// The number of requests that the limit permits.
    pub limit: u32,
    /// The number of requests that remain.
    pub remaining: u32,
    /// Seconds until the next request is permitted, 0 if one is permitted now.
    pub retry_after: u32,
    /// Seconds until the whole limit is available again.
    pub reset: u32,
    /// The period of the limit, in seconds.
    pub window: u32,
}

impl Registry {
    /// Takes one request from the limit of `key`: a token, or another SHA-256 that a data plane counts under. A token's
    /// own limit takes precedence over `default`.
    ///
    /// # Errors
    /// [`RegistryError::UnknownToken`] for an unknown key without `default`, [`RegistryError::NoRateLimit`] for a token
    /// without any limit.
    pub async fn take(&self, key: &Digest, default: Option<RateLimit>) -> Result<Taken> {
        let own = match self.token(key).await {
            Ok(token) => token.rate_limit.and_then(RateLimit::of_requests),
            Err(RegistryError::UnknownToken) if default.is_some() => None,
            Err(error) => return Err(error),
        };
        let default = default.and_then(RateLimit::of_requests);
        let limit = own.or(default).ok_or(RegistryError::NoRateLimit)?;
        let taken = self.0.take(key, Gcra::new(limit), nanoseconds).await?;
        if self.is_time_to_forget() {
            self.0.forget_full(nanoseconds()).await?;
        }
        Ok(taken.into())
    }

    /// Returns true once in each interval, for one caller.
    fn is_time_to_forget(&self) -> bool {
        let now = since_1970().as_secs();
        let last = self.0.forgotten_at.load(Ordering::Relaxed);
        now.abs_diff(last) >= FORGET_INTERVAL_SECONDS
            && self.0.forgotten_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl From<keyswap_core::limit::Taken> for Taken {
    fn from(taken: keyswap_core::limit::Taken) -> Self {
        let keyswap_core::limit::Taken { allowed, limit, remaining, retry_after, reset, window } = taken;
        Self { allowed, limit, remaining, retry_after, reset, window }
    }
}

/// Returns the time in nanoseconds since 1970, the unit of [`Gcra`].
fn nanoseconds() -> i64 {
    i64::try_from(since_1970().as_nanos()).unwrap_or(i64::MAX)
}
