//! The host that runs Keyswap.

use std::{
    net::SocketAddr,
    ops::{Deref, DerefMut},
};

use anyhow::Result;
use keyswap_tests::{Envoy, Registry, Server, Standin, Wasmtime};
use serde_json::Value;

use super::{host::Host, options::Options, upstream::Upstream};

/// A host that runs.
pub(super) enum Proxy {
    Envoy(Envoy),
    Wasmtime(Wasmtime),
}

impl Proxy {
    /// Starts the host that the options name.
    pub(super) fn start(
        options: &Options,
        policy: &Value,
        upstream: &Upstream,
        standin: Option<&Standin>,
        registry: SocketAddr,
    ) -> Result<Self> {
        let of_registry = ("KEYSWAP_REGISTRY_TOKEN", Registry::TOKEN);
        let variables = upstream.environment().iter().map(|(name, value)| (*name, value.as_str()));
        let variables = variables.chain([of_registry]);
        match options.host {
            Host::Envoy => {
                let setup = Envoy::with(policy).ports(options.port, options.admin_port).registry(registry);
                let setup = variables.fold(setup, |setup, (name, value)| setup.env(name, value));
                let setup = match standin {
                    Some(standin) => setup.upstream(standin),
                    None => setup.real_upstreams(),
                };
                setup.start().map(Self::Envoy)
            }
            Host::Wasmtime => {
                let setup = Wasmtime::with(policy).port(options.port).registry(registry);
                let setup = variables.fold(setup, |setup, (name, value)| setup.env(name, value));
                let setup = match standin {
                    Some(standin) => setup.upstream(standin),
                    None => setup,
                };
                setup.start().map(Self::Wasmtime)
            }
        }
    }

    /// Returns facts for the user: labels and values.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let folder = self.log_folder().display();
        match self {
            Self::Envoy(envoy) => vec![
                ("admin", format!("http://{}", envoy.admin_address())),
                ("logs", format!("envoy.log and access.log in {folder}")),
            ],
            Self::Wasmtime(_) => vec![("logs", format!("wasmtime.log in {folder}"))],
        }
    }
}

impl Deref for Proxy {
    type Target = Server;

    fn deref(&self) -> &Server {
        match self {
            Self::Envoy(envoy) => envoy,
            Self::Wasmtime(wasmtime) => wasmtime,
        }
    }
}

impl DerefMut for Proxy {
    fn deref_mut(&mut self) -> &mut Server {
        match self {
            Self::Envoy(envoy) => envoy,
            Self::Wasmtime(wasmtime) => wasmtime,
        }
    }
}
