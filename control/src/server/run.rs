//! The life of a server: its first password, serving, and an end that leaves no request behind.

use std::time::Duration;

use tokio::net::TcpListener;

use super::admin::password;
use super::connections;
use super::router::router;
use super::state::State;
use crate::registry::{RegistryError, SecretText};

/// The time that a shutdown waits for requests that are under way.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Sees to it that there is an administrator's password. Returns it if it was made just now: it is not shown again.
pub async fn first_password(state: &State) -> Result<Option<SecretText>, RegistryError> {
    password::prepare(state.registry(), state.admin_password()).await
}

/// Serves until `stop`, then answers those who wait and lets requests that are under way finish.
pub async fn run(listener: TcpListener, state: State, stop: impl Future<Output = ()> + Send + 'static) {
    let stopping = state.clone();
    let stopped = async move {
        stop.await;
        tracing::info!("stopping");
        stopping.stop();
    };
    let drained = async {
        state.stopping().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    let service = router(state.clone());
    tokio::select! {
        () = connections::serve(listener, service, state.options().patience, stopped) => {}
        () = drained => tracing::warn!("some requests did not finish in time"),
    }
}
