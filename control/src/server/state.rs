//! The state that all handlers share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::access::Access;
use super::connections::{ConnectionLimits, TlsState};
use super::counters::Counters;
use super::oidc::Oidc;
use super::proxy_url::ProxyUrl;
use super::session_issuer::SessionIssuer;
use crate::kubernetes;
use crate::registry::{Registry, SecretText};
use crate::signing::SigningKey;

/// The state of a server. Clones share the same state.
#[derive(Clone)]
pub struct State(Arc<Shared>);

struct Shared {
    registry: Registry,
    registry_token: Option<SecretText>,
    admin_password: Option<SecretText>,
    records_key: Option<SigningKey>,
    options: Options,
    stopping: watch::Sender<bool>,
    counters: Counters,
    exports: Arc<Semaphore>,
}

/// The exports of the audit log at a time, each of which reads much of the database.
const MAX_EXPORTS: usize = 2;

/// The settings of a server, without secrets.
#[derive(Clone, Debug)]
pub struct Options {
    /// The URL of the proxy in the dashboard's examples.
    pub proxy_url: ProxyUrl,
    /// The name of the environment in the head of the dashboard, `None` for no name.
    pub environment: Option<String>,
    /// The time limit for a client to send the head of a request, then its body, and then to read the answer.
    pub patience: Duration,
    /// The largest numbers of open connections.
    pub connections: ConnectionLimits,
    /// TLS of the server, `None` if it speaks plain HTTP.
    pub tls: Option<TlsState>,
    /// The time for which hourly usage is kept.
    pub usage_retention: Duration,
    /// Sign-in by Cloudflare Access, `None` if it is not configured.
    pub access: Option<Access>,
    /// Sign-in by an `OpenID` provider, `None` if it is not configured.
    pub oidc: Option<Oidc>,
    /// The state of the source of tokens in Kubernetes, `None` if there is none.
    pub kubernetes: Option<kubernetes::Status>,
    /// The issuer of sessions on devices, `None` if devices are not signed in.
    pub sessions: Option<SessionIssuer>,
}

impl State {
    /// Returns a server's state. `registry_token` is the data planes' credential from the environment,
    /// `admin_password` the password from there, `records_key` the key that signs records.
    pub fn new(
        registry: Registry,
        registry_token: Option<SecretText>,
        admin_password: Option<SecretText>,
        records_key: Option<SigningKey>,
        options: Options,
    ) -> Self {
        Self(Arc::new(Shared {
            registry,
            registry_token,
            admin_password,
            records_key,
            options,
            stopping: watch::Sender::new(false),
            counters: Counters::default(),
            exports: Arc::new(Semaphore::new(MAX_EXPORTS)),
        }))
    }

    /// Returns the registry.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Returns the administrator's password from the environment, `None` if it is not set there.
    pub fn admin_password(&self) -> Option<&SecretText> {
        self.0.admin_password.as_ref()
    }

    /// Returns the data planes' credential from the environment, `None` if it is not set there.
    pub(super) fn registry_token(&self) -> Option<&SecretText> {
        self.0.registry_token.as_ref()
    }

    /// Returns the key that signs records, `None` if they are not signed.
    pub(super) fn records_key(&self) -> Option<&SigningKey> {
        self.0.records_key.as_ref()
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Returns the permits of exports.
    pub(super) fn exports(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.exports)
    }

    pub(super) fn options(&self) -> &Options {
        &self.0.options
    }

    /// Waits until the server stops, so that waiting handlers answer at once.
    pub(super) async fn stopping(&self) {
        // `self` holds the sender, so the wait ends only with a stop.
        let _ = self.0.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Ends all waits for changes.
    pub(super) fn stop(&self) {
        self.0.stopping.send_replace(true);
    }
}
