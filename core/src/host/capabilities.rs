//! The abilities that an engine may count on in its host. A policy that needs more than there is is refused as a whole:
//! no setting is ignored in silence.

/// The abilities of the host of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub struct Capabilities {
    /// The store is the memory of all that serve requests together, so that a budget can be kept there.
    pub shared_memory: bool,
    /// Whoever sends a request on can write the upstream credential (`inject_by: host`).
    pub injects_credentials: bool,
    /// A connection can become a WebSocket.
    pub upgrades: bool,
    /// A request that nothing is done to has somewhere to go, so that a policy in shadow mode can let it pass.
    pub passes: bool,
    /// [`crate::Engine::due`] is asked about once a second, also while nobody calls.
    pub ticks: bool,
}

impl Capabilities {
    /// Envoy with the filter.
    pub const ENVOY: Self =
        Self { shared_memory: true, injects_credentials: true, upgrades: true, passes: true, ticks: true };

    /// A component that serves `wasi:http` 0.2: its memory is its own and may last for one request only, its host forbids
    /// what an upgrade takes, and behind it are only the upstreams that the policy names.
    pub const COMPONENT: Self = Self {
        shared_memory: false,
        injects_credentials: false,
        upgrades: false,
        passes: false,
        ticks: false,
    };
}
