//! The state that all handlers share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::access::Access;
use super::proxy_url::ProxyUrl;
use crate::registry::{Registry, SecretText};

/// The state of a server. Clones share it.
#[derive(Clone)]
pub struct State(Arc<Shared>);

struct Shared {
    registry: Registry,
    registry_token: SecretText,
    admin_password: Option<SecretText>,
    options: Options,
    stopping: watch::Sender<bool>,
}

/// The settings of a server that are no secrets.
#[derive(Clone, Debug)]
pub struct Options {
    /// The proxy's address in the dashboard's examples.
    pub proxy_url: ProxyUrl,
    /// The time in which a client must send the head of a request, and then its body.
    pub patience: Duration,
    /// Sign-in by Cloudflare Access, where it is enabled.
    pub access: Option<Access>,
}

impl State {
    /// Returns a server's state, with the credential of the data planes and, where the environment has one, the
    /// administrator's password.
    pub fn new(
        registry: Registry,
        registry_token: SecretText,
        admin_password: Option<SecretText>,
        options: Options,
    ) -> Self {
        Self(Arc::new(Shared {
            registry,
            registry_token,
            admin_password,
            options,
            stopping: watch::Sender::new(false),
        }))
    }

    /// Returns the registry.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Returns the administrator's password, where the environment has one.
    pub fn admin_password(&self) -> Option<&SecretText> {
        self.0.admin_password.as_ref()
    }

    /// Returns the credential of the data planes.
    pub(super) fn registry_token(&self) -> &SecretText {
        &self.0.registry_token
    }

    pub(super) fn options(&self) -> &Options {
        &self.0.options
    }

    /// Returns when the server is to stop, so that handlers that wait answer now.
    pub(super) async fn stopping(&self) {
        // The sender lives as long as this does, so the wait ends in one way only.
        let _ = self.0.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Ends all waits.
    pub(super) fn stop(&self) {
        self.0.stopping.send_replace(true);
    }
}
