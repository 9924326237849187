//! Taking from rate limits, for hosts that share no memory.

use std::sync::atomic::Ordering;

use keyswap_core::base::Digest;
use keyswap_core::limit::Gcra;
use serde::Serialize;

use super::handle::{Registry, Result};
use super::record::clock::since_1970;
use super::record::error::RegistryError;
use super::record::rate_limit::RateLimit;

/// The interval in which keys with a full budget are forgotten.
const FORGET_INTERVAL_SECONDS: u64 = 60;

/// The result of taking one request from a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Taken {
    /// True if the request may go on.
    pub allowed: bool,
    /// The number of requests in all.
    pub limit: u32,
    /// The number of requests that are left.
    pub remaining: u32,
    /// In how many seconds there is one again; 0 while there is one.
    pub retry_after: u32,
    /// In how many seconds all are there again.
    pub reset: u32,
    /// In how many seconds as many come back as there are in all.
    pub window: u32,
}

impl Registry {
    /// Takes one request from the limit of `key`: a token, or whatever else a data plane counts under a SHA-256.
    /// The token's own limit goes before `default`.
    pub async fn take(&self, key: &Digest, default: Option<RateLimit>) -> Result<Taken> {
        let own = match self.token(key).await {
            Ok(token) => token.rate_limit,
            Err(RegistryError::UnknownToken) if default.is_some() => None,
            Err(error) => return Err(error),
        };
        let limit = own.or(default).ok_or(RegistryError::NoRateLimit)?;
        let taken = self.0.take(key, Gcra::new(limit.into()), nanoseconds).await?;
        if self.is_time_to_forget() {
            self.0.forget_full(nanoseconds()).await?;
        }
        Ok(taken.into())
    }

    /// Returns true for one caller in each interval.
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

/// Returns the time as rate limits count it.
fn nanoseconds() -> i64 {
    i64::try_from(since_1970().as_nanos()).unwrap_or(i64::MAX)
}
