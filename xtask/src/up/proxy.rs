//! The host that Keyswap runs in.

use std::ops::{Deref, DerefMut};

use anyhow::Result;
use clap::ValueEnum;
use keyswap_tests::{COMPONENT, Envoy, FILTER, Server, Standin, Wasmtime, tools};
use serde_json::Value;

use super::{Options, upstream::Upstream};

/// Which one.
#[derive(Clone, Copy, Default, ValueEnum)]
pub(crate) enum Host {
    /// Envoy with the filter
    #[default]
    Envoy,
    /// Wasmtime with the component
    Wasmtime,
}

/// A running one.
pub(super) enum Proxy {
    Envoy(Envoy),
    Wasmtime(Wasmtime),
}

impl Host {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Envoy => "Envoy",
            Self::Wasmtime => "Wasmtime",
        }
    }

    /// What runs in it.
    pub(super) const fn artefact(self) -> &'static str {
        match self {
            Self::Envoy => "filter",
            Self::Wasmtime => "component",
        }
    }

    pub(super) fn install(self) -> Result<()> {
        match self {
            Self::Envoy => tools::envoy(),
            Self::Wasmtime => tools::wasmtime(),
        }
        .map(drop)
    }

    pub(super) fn build(self) -> Result<()> {
        match self {
            Self::Envoy => FILTER.path(),
            Self::Wasmtime => COMPONENT.path(),
        }
        .map(drop)
    }

    pub(super) fn start(
        self,
        options: &Options,
        policy: &Value,
        upstream: &Upstream,
        standin: Option<&Standin>,
    ) -> Result<Proxy> {
        let variables = upstream.environment().iter();
        match self {
            Self::Envoy => {
                let setup = Envoy::with(policy).ports(options.port, options.admin_port);
                let setup = variables.fold(setup, |setup, (name, value)| setup.env(name, value));
                let setup = match standin {
                    Some(standin) => setup.upstream(standin),
                    None => setup.real_upstreams(),
                };
                setup.start().map(Proxy::Envoy)
            }
            Self::Wasmtime => {
                let setup = Wasmtime::with(policy).port(options.port);
                let setup = variables.fold(setup, |setup, (name, value)| setup.env(name, value));
                let setup = match standin {
                    Some(standin) => setup.upstream(standin),
                    None => setup,
                };
                setup.start().map(Proxy::Wasmtime)
            }
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

impl Proxy {
    /// What an operator may look at.
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
