//! The hosts that `keyswap up` can start.

use clap::ValueEnum;
use keyswap_core::host::Capabilities;

/// A kind of host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Host {
    /// Envoy with the filter
    #[default]
    Envoy,
    /// Envoy with the dynamic module: faster, and without a sandbox
    Module,
    /// Wasmtime with the component
    Wasmtime,
}

impl Host {
    /// Returns the name of the host's program.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Envoy | Self::Module => "Envoy",
            Self::Wasmtime => "Wasmtime",
        }
    }

    /// Returns the name of the artefact that runs in the host.
    pub(super) const fn artefact(self) -> &'static str {
        match self {
            Self::Envoy => "filter",
            Self::Module => "module",
            Self::Wasmtime => "component",
        }
    }

    /// Returns the name of the artefact's file. Envoy looks for a module by this name.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Envoy => "keyswap_filter.wasm",
            Self::Module => "libkeyswap.so",
            Self::Wasmtime => "keyswap_component.wasm",
        }
    }

    /// Returns the abilities of the host.
    pub(super) const fn capabilities(self) -> Capabilities {
        match self {
            Self::Envoy => Capabilities::ENVOY,
            Self::Module => Capabilities::MODULE,
            Self::Wasmtime => Capabilities::COMPONENT,
        }
    }
}
