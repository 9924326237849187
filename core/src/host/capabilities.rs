//! The abilities that an engine may count on in its host.
//!
//! A policy that needs an ability which the host lacks is refused as a whole: no setting is ignored in silence.

/// The abilities of an engine's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub struct Capabilities {
    /// Set where all workers that serve requests share the store, so that a budget can be kept there.
    pub shared_memory: bool,
    /// Set where the program that forwards a request can write the upstream credential (`inject_by: host`).
    pub injects_credentials: bool,
    /// Set where a connection can become a WebSocket.
    pub upgrades: bool,
    /// Set where an untouched request has somewhere to go, so that a policy in shadow mode can let it pass.
    pub passes: bool,
    /// Set where the host can hold an answer back, and give the caller another body in its place.
    pub replaces_answers: bool,
    /// Set where the host hands over the bodies of requests, and can refuse a request while its body passes.
    pub reads_requests: bool,
    /// Set where the host hands over the bodies of answers, and passes on what comes back.
    pub edits_answers: bool,
    /// Set where the host calls `Worker::due` about once a second, also while no request comes.
    pub ticks: bool,
    /// Set where the host can end an exchange that has begun.
    pub ends_exchanges: bool,
    /// Set where the host reads files that hold secrets.
    pub reads_files: bool,
    /// Set where the host shows the client certificates of connections.
    pub shows_certificates: bool,
}

impl Capabilities {
    /// The abilities of Envoy with the filter.
    pub const ENVOY: Self = Self {
        shared_memory: true,
        injects_credentials: true,
        upgrades: true,
        passes: true,
        replaces_answers: true,
        reads_requests: true,
        edits_answers: true,
        ticks: true,
        ends_exchanges: true,
        reads_files: false,
        shows_certificates: true,
    };

    /// The abilities of Envoy with the dynamic module: those with the filter, and files.
    pub const MODULE: Self = Self { reads_files: true, ..Self::ENVOY };

    /// The abilities of a component that serves `wasi:http` 0.2.
    ///
    /// Its memory is its own and may last for one request only. Its host forbids what an upgrade takes. Behind it are
    /// only the upstreams that the policy names.
    pub const COMPONENT: Self = Self {
        shared_memory: false,
        injects_credentials: false,
        upgrades: false,
        passes: false,
        replaces_answers: true,
        reads_requests: true,
        edits_answers: true,
        ticks: false,
        ends_exchanges: false,
        reads_files: false,
        shows_certificates: false,
    };
}
