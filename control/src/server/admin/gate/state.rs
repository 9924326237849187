//! The state of the administration's handlers. It hands out the registry to the gate alone.

use std::sync::Arc;

use axum::extract::FromRef;
use tokio::sync::Semaphore;

use crate::registry::Registry;
use crate::server::extract::Patience;
use crate::server::state::{Options, State};

/// The state of a server, as handlers of the administration have it.
#[derive(Clone)]
pub(in crate::server::admin) struct AdminState(State);

impl AdminState {
    pub(in crate::server::admin) fn new(state: State) -> Self {
        Self(state)
    }

    pub(in crate::server::admin) fn options(&self) -> &Options {
        self.0.options()
    }

    /// Returns the number of uses of the credential that all data planes share, `None` if there is none.
    pub(in crate::server::admin) fn shared_credential_uses(&self) -> Option<u64> {
        self.0.registry_token().map(|_| self.0.counters().shared_credential_uses.value())
    }

    /// Returns the permits of exports.
    pub(in crate::server::admin) fn exports(&self) -> Arc<Semaphore> {
        self.0.exports()
    }

    pub(super) fn registry(&self) -> &Registry {
        self.0.registry()
    }
}

impl FromRef<AdminState> for Patience {
    fn from_ref(state: &AdminState) -> Self {
        Self::from_ref(&state.0)
    }
}
