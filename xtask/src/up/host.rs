//! The hosts that `cargo xtask up` can start.

use anyhow::Result;
use clap::ValueEnum;
use keyswap_tests::{COMPONENT, FILTER, tools};

/// A kind of host.
#[derive(Clone, Copy, Default, ValueEnum)]
pub(crate) enum Host {
    /// Envoy with the filter
    #[default]
    Envoy,
    /// Wasmtime with the component
    Wasmtime,
}

impl Host {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Envoy => "Envoy",
            Self::Wasmtime => "Wasmtime",
        }
    }

    /// Returns the name of the artefact that runs in the host.
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
}
