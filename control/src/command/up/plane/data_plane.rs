//! A data plane of either kind.

use std::net::SocketAddr;

use anyhow::bail;
use serde_json::Value;

use super::envoy::Envoy;
use super::setup::Setup;
use super::wasmtime::Wasmtime;
use crate::command::up::host::Host;
use crate::command::up::policy::Policy;
use crate::command::up::url::url_of;
use crate::server::ProxyUrl;

/// A running data plane, with its set-up.
pub(in crate::command::up) struct DataPlane {
    setup: Setup,
    kind: Kind,
}

enum Kind {
    Envoy(Box<Envoy>),
    Wasmtime(Box<Wasmtime>),
}

impl DataPlane {
    /// Starts the host's program, and waits until it serves.
    pub(in crate::command::up) async fn start(setup: Setup, policy: &Policy) -> anyhow::Result<Self> {
        let kind = match setup.host {
            Host::Envoy | Host::Module => Kind::Envoy(Box::new(Envoy::start(&setup, policy).await?)),
            Host::Wasmtime => Kind::Wasmtime(Box::new(Wasmtime::start(&setup, policy).await?)),
        };
        Ok(Self { setup, kind })
    }

    /// Returns the address that callers reach.
    pub(in crate::command::up) fn address(&self) -> SocketAddr {
        match &self.kind {
            Kind::Envoy(envoy) => envoy.address(),
            Kind::Wasmtime(wasmtime) => wasmtime.address(),
        }
    }

    /// Returns the address of the admin interface, `None` where the host has none.
    pub(in crate::command::up) fn admin_address(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Envoy(envoy) => Some(envoy.admin_address()),
            Kind::Wasmtime(_) => None,
        }
    }

    /// Puts a policy in force.
    pub(in crate::command::up) async fn apply(&mut self, policy: &Policy) -> anyhow::Result<()> {
        match &mut self.kind {
            Kind::Envoy(envoy) => envoy.apply(&self.setup, policy).await,
            Kind::Wasmtime(wasmtime) => wasmtime.apply(&self.setup, policy).await,
        }
    }

    /// Replaces the certificate for callers.
    pub(in crate::command::up) async fn renew(&mut self, secret: &Value) -> anyhow::Result<()> {
        match &self.kind {
            Kind::Envoy(envoy) => envoy.renew(secret).await,
            Kind::Wasmtime(_) => bail!("Wasmtime serves without TLS"),
        }
    }

    /// Returns the base URL at which callers on this machine reach it.
    pub(in crate::command::up) fn url(&self) -> anyhow::Result<ProxyUrl> {
        url_of(self.has_tls(), self.address())
    }

    /// Tells if callers are served over TLS.
    pub(in crate::command::up) fn has_tls(&self) -> bool {
        self.setup.secret.is_some()
    }

    /// Waits for the end of the process, which nobody asked for, and returns it as an error.
    pub(in crate::command::up) async fn fails(&mut self) -> anyhow::Error {
        match &mut self.kind {
            Kind::Envoy(envoy) => envoy.child().fails().await,
            Kind::Wasmtime(wasmtime) => wasmtime.child().fails().await,
        }
    }

    /// Takes no more requests, and ends the process when those in progress have ended.
    pub(in crate::command::up) async fn drain(&mut self) -> anyhow::Result<()> {
        match &mut self.kind {
            Kind::Envoy(envoy) => {
                envoy.drain().await?;
                envoy.end().await
            }
            Kind::Wasmtime(wasmtime) => wasmtime.end().await,
        }
    }
}
