//! The issuer's keys, fetched over HTTPS by one fetch at a time, and cached for the policy's `cache_duration`.
//!
//! Redirects are not followed, the length of the answer is limited, and no part of a token determines the URL. If a
//! refresh fails, the old set is used for `stale_if_error` longer.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use keyswap_core::identity::jwt::{Issuer, JwkSet, JwkSetError, MAX_SET_BYTES, RemoteKeys};
use reqwest::{Client, StatusCode, Url, redirect};
use tokio::sync::Mutex;

use super::pace::{Pace, Start};
use super::settings;
use crate::http;

/// The keys of one issuer.
#[derive(Clone, Debug)]
pub(super) struct Keys(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    url: Url,
    remote: RemoteKeys,
    client: Client,
    kept: RwLock<Option<Kept>>,
    /// The limit on fetches. The lock is held during a fetch.
    pace: Mutex<Pace>,
}

#[derive(Clone, Debug)]
struct Kept {
    set: Arc<JwkSet>,
    since: Instant,
}

/// A failed fetch of keys, without a cached set to fall back to.
#[derive(Debug)]
pub(super) struct KeysUnavailableError;

impl fmt::Display for KeysUnavailableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the keys of Cloudflare Access cannot be fetched now")
    }
}

impl std::error::Error for KeysUnavailableError {}

/// The purpose of a fetch: a fresh set, or a set other than the given one.
enum Want {
    Fresh,
    Other(Arc<JwkSet>),
}

impl Keys {
    pub(super) fn new(issuer: &Issuer) -> anyhow::Result<Self> {
        let (url, remote) = settings::source(issuer)?;
        Ok(Self(Arc::new(Shared {
            client: client(&url, remote.timeout)?,
            url,
            remote: remote.clone(),
            kept: RwLock::default(),
            pace: Mutex::new(Pace::new(remote.refetch_cooldown)),
        })))
    }

    /// Returns a fresh set. If fetching fails, returns the cached set during `stale_if_error`.
    pub(super) async fn current(&self) -> Result<Arc<JwkSet>, KeysUnavailableError> {
        let Shared { remote, .. } = &*self.0;
        if let Some(set) = self.0.kept_for(remote.cache_duration) {
            return Ok(set);
        }
        let fetched = self.fetch(Want::Fresh).await;
        let stale = self.0.kept_for(remote.cache_duration.saturating_add(remote.stale_if_error));
        stale.ok_or(fetched.err().unwrap_or(KeysUnavailableError))
    }

    /// Returns a set newer than `known`, in which a key is missing. Returns `None` during the cooldown of refetches.
    pub(super) async fn newer(
        &self,
        known: &Arc<JwkSet>,
    ) -> Result<Option<Arc<JwkSet>>, KeysUnavailableError> {
        self.fetch(Want::Other(Arc::clone(known))).await?;
        Ok(self.0.kept().map(|kept| kept.set).filter(|set| !Arc::ptr_eq(set, known)))
    }

    /// Fetches in a separate task, so that a cancelled request does not cancel the fetch.
    async fn fetch(&self, want: Want) -> Result<(), KeysUnavailableError> {
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move { shared.fetch(want).await }).await.unwrap_or(Err(KeysUnavailableError))
    }
}

impl Shared {
    async fn fetch(&self, want: Want) -> Result<(), KeysUnavailableError> {
        let mut pace = self.pace.lock().await;
        let start = match want {
            // Another request has fetched while this one waited for the lock.
            Want::Fresh if self.kept_for(self.remote.cache_duration).is_some() => return Ok(()),
            Want::Other(known) if !self.kept().is_some_and(|kept| Arc::ptr_eq(&kept.set, &known)) => {
                return Ok(());
            }
            Want::Fresh => pace.fetch(self.kept().is_some(), Instant::now()),
            Want::Other(_) => pace.refetch(Instant::now()),
        };
        match start {
            Start::Now => {}
            Start::TooSoon => return Ok(()),
            Start::Failing => return Err(KeysUnavailableError),
        }
        let fetched = self.download().await;
        pace.ended(fetched.is_ok(), Instant::now());
        match fetched {
            Ok(set) => {
                let kept = Kept { set: Arc::new(set), since: Instant::now() };
                *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(kept);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the keys of Cloudflare Access cannot be fetched"
                );
                Err(KeysUnavailableError)
            }
        }
    }

    async fn download(&self) -> anyhow::Result<JwkSet> {
        let mut response = self.client.get(self.url.clone()).send().await?;
        ensure!(response.status() == StatusCode::OK, "the answer has the status {}", response.status());
        let mut document = Vec::new();
        while let Some(part) = response.chunk().await? {
            ensure!(document.len().saturating_add(part.len()) <= MAX_SET_BYTES, JwkSetError::TooLong);
            document.extend_from_slice(&part);
        }
        JwkSet::parse(&document).map_err(anyhow::Error::msg)
    }

    fn kept(&self) -> Option<Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the cached set if it is younger than `time`.
    fn kept_for(&self, time: Duration) -> Option<Arc<JwkSet>> {
        self.kept().filter(|kept| kept.since.elapsed() < time).map(|kept| kept.set)
    }
}

fn client(url: &Url, timeout: Duration) -> anyhow::Result<Client> {
    http::client(url.scheme() == "https")
        .redirect(redirect::Policy::none())
        .timeout(timeout)
        .user_agent(concat!("keyswap/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("cannot use TLS")
}
