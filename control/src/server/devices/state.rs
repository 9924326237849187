//! The state of the handlers for devices.

use axum::extract::FromRef;

use crate::server::extract::Patience;
use crate::server::session_issuer::SessionIssuer;
use crate::server::state::State;

/// The state of a server that issues sessions.
#[derive(Clone)]
pub(super) struct DeviceState {
    pub(super) state: State,
    pub(super) issuer: SessionIssuer,
}

impl FromRef<DeviceState> for Patience {
    fn from_ref(state: &DeviceState) -> Self {
        Self::from_ref(&state.state)
    }
}

impl DeviceState {
    /// Returns the state, `None` for a server that issues no sessions.
    pub(super) fn of(state: &State) -> Option<Self> {
        let issuer = state.options().sessions.clone()?;
        Some(Self { state: state.clone(), issuer })
    }
}
