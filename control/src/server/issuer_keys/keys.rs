//! The issuer's keys, fetched over HTTPS by one fetch at a time, and cached for the policy's `cache_duration`.
//!
//! Redirects are not followed, the length of the answer is limited, and no part of a token determines the URL. If a
//! refresh fails, the old set is used for `stale_if_error` longer.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use keyswap_core::identity::jwt::{
    Endpoint, Issuer, JwkSet, JwkSetError, KeySource, MAX_DISCOVERY_BYTES, MAX_SET_BYTES, RemoteKeys,
    jwks_endpoint,
};
use reqwest::{Client, StatusCode, Url, redirect};
use tokio::sync::Mutex;

use super::pace::{Pace, Start};
use crate::http;

/// The keys of one issuer.
#[derive(Clone, Debug)]
pub(in crate::server) struct Keys(Arc<Shared>);

/// The place of an issuer's keys.
#[derive(Clone, Debug)]
pub(in crate::server) enum Place {
    /// The URL of the set.
    Set(Url),
    /// The URL of the issuer's discovery document, which has the URL of the set: at the host of this endpoint.
    Document(Url, Endpoint),
    /// The URL of the issuer's discovery document, and the URL of the set.
    Both(Url, Url),
}

#[derive(Debug)]
struct Shared {
    /// The name of the issuer in messages.
    name: &'static str,
    issuer: String,
    place: Place,
    remote: RemoteKeys,
    client: Client,
    kept: RwLock<Option<Kept>>,
    /// The limit on fetches. The lock is held during a fetch.
    pace: Mutex<Pace>,
}

#[derive(Clone, Debug)]
struct Kept {
    set: Arc<JwkSet>,
    /// The discovery document, empty if it was not fetched.
    document: Arc<[u8]>,
    since: Instant,
}

/// A failed fetch of keys, without a cached set to fall back to.
#[derive(Debug)]
pub(in crate::server) struct KeysUnavailableError;

impl fmt::Display for KeysUnavailableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the keys of the issuer cannot be fetched now")
    }
}

impl std::error::Error for KeysUnavailableError {}

/// The purpose of a fetch: a fresh set, or a set other than the given one.
enum Want {
    Fresh,
    Other(Arc<JwkSet>),
}

impl Keys {
    /// Returns the keys of an issuer, an error if they are not fetched over TLS or from this machine. `name` is its name in
    /// messages, `option` the option with the address.
    pub(in crate::server) fn new(
        issuer: &Issuer,
        name: &'static str,
        option: &'static str,
    ) -> anyhow::Result<Self> {
        let (place, remote) = Place::of(issuer, option)?;
        Self::at(place, issuer, remote, name)
    }

    /// Returns the keys of an issuer together with its discovery document, wherever the keys are.
    pub(in crate::server) fn with_document(
        issuer: &Issuer,
        name: &'static str,
        option: &'static str,
    ) -> anyhow::Result<Self> {
        let (place, remote) = Place::of(issuer, option)?;
        let beside = issuer.url().trim_end_matches('/');
        let place = match place {
            Place::Set(set) => {
                let document = Url::parse(&format!("{beside}/.well-known/openid-configuration"));
                let document = document.ok().filter(|url| url.scheme() == "https" || is_loopback(url));
                Place::Both(
                    document.with_context(|| format!("invalid `{option}`: expected `https://…`"))?,
                    set,
                )
            }
            place => place,
        };
        Self::at(place, issuer, remote, name)
    }

    fn at(place: Place, issuer: &Issuer, remote: &RemoteKeys, name: &'static str) -> anyhow::Result<Self> {
        let (Place::Set(url) | Place::Document(url, _) | Place::Both(url, _)) = &place;
        Ok(Self(Arc::new(Shared {
            name,
            issuer: issuer.url().to_owned(),
            client: client(url, remote.timeout)?,
            place,
            remote: remote.clone(),
            kept: RwLock::default(),
            pace: Mutex::new(Pace::new(remote.refetch_cooldown)),
        })))
    }

    /// Returns a fresh set. If fetching fails, returns the cached set during `stale_if_error`.
    pub(in crate::server) async fn current(&self) -> Result<Arc<JwkSet>, KeysUnavailableError> {
        let Shared { remote, .. } = &*self.0;
        if let Some(set) = self.0.kept_for(remote.cache_duration) {
            return Ok(set);
        }
        let fetched = self.fetch(Want::Fresh).await;
        let stale = self.0.kept_for(remote.cache_duration.saturating_add(remote.stale_if_error));
        stale.ok_or(fetched.err().unwrap_or(KeysUnavailableError))
    }

    /// Returns the issuer's discovery document, as old as the set.
    pub(in crate::server) async fn document(&self) -> Result<Arc<[u8]>, KeysUnavailableError> {
        self.current().await?;
        self.0.kept().map(|kept| kept.document).ok_or(KeysUnavailableError)
    }

    /// Returns a set newer than `known`, in which a key is missing. Returns `None` during the cooldown of refetches.
    pub(in crate::server) async fn newer(
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
            Ok((set, document)) => {
                let kept = Kept { set: Arc::new(set), document: document.into(), since: Instant::now() };
                *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(kept);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(issuer = self.name, error = format!("{error:#}"), "keys cannot be fetched");
                Err(KeysUnavailableError)
            }
        }
    }

    /// Fetches the set, and the discovery document where the place has one.
    async fn download(&self) -> anyhow::Result<(JwkSet, Vec<u8>)> {
        let (url, document) = match &self.place {
            Place::Set(url) => (url.clone(), Vec::new()),
            Place::Both(document, url) => {
                (url.clone(), self.get(document.clone(), MAX_DISCOVERY_BYTES).await?)
            }
            Place::Document(url, start) => {
                let document = self.get(url.clone(), MAX_DISCOVERY_BYTES).await?;
                let found = jwks_endpoint(&document, &self.issuer, start).map_err(anyhow::Error::msg)?;
                (url_of(&found)?, document)
            }
        };
        let set = JwkSet::parse(&self.get(url, MAX_SET_BYTES).await?).map_err(anyhow::Error::msg)?;
        Ok((set, document))
    }

    async fn get(&self, url: Url, longest: usize) -> anyhow::Result<Vec<u8>> {
        let mut response = self.client.get(url).send().await?;
        ensure!(response.status() == StatusCode::OK, "the answer has the status {}", response.status());
        let mut document = Vec::new();
        while let Some(part) = response.chunk().await? {
            ensure!(document.len().saturating_add(part.len()) <= longest, JwkSetError::TooLong);
            document.extend_from_slice(&part);
        }
        Ok(document)
    }

    fn kept(&self) -> Option<Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the cached set if it is younger than `time`.
    fn kept_for(&self, time: Duration) -> Option<Arc<JwkSet>> {
        self.kept().filter(|kept| kept.since.elapsed() < time).map(|kept| kept.set)
    }
}

impl Place {
    /// Returns the place of an issuer's keys. Plain HTTP to another than a loopback address is an error.
    pub(in crate::server) fn of<'i>(
        issuer: &'i Issuer,
        option: &str,
    ) -> anyhow::Result<(Self, &'i RemoteKeys)> {
        let (KeySource::Jwks(remote) | KeySource::Discovery(remote)) = issuer.keys() else {
            bail!("the issuer has no URL for its keys");
        };
        let url = url_of(&remote.endpoint).with_context(|| format!("invalid `{option}`"))?;
        ensure!(
            remote.endpoint.https || is_loopback(&url),
            "invalid `{option}`: expected `https://…`, since plain HTTP lets others replace the keys"
        );
        let is_document = matches!(issuer.keys(), KeySource::Discovery(_));
        let place = if is_document { Self::Document(url, remote.endpoint.clone()) } else { Self::Set(url) };
        Ok((place, remote))
    }
}

fn url_of(endpoint: &Endpoint) -> anyhow::Result<Url> {
    Ok(Url::parse(&endpoint.to_string())?)
}

/// Returns true if requests to a URL do not leave this machine.
pub(in crate::server) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn client(url: &Url, timeout: Duration) -> anyhow::Result<Client> {
    http::client(url.scheme() == "https")
        .redirect(redirect::Policy::none())
        .timeout(timeout)
        .user_agent(concat!("keyswap/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("cannot use TLS")
}
