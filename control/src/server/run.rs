//! Start, serving and graceful shutdown of a server.

use std::time::Duration;

use keyswap_core::base::UnixTime;
use tokio::net::TcpListener;

use super::admin::password;
use super::connections::{Tls, serve};
use super::router::router;
use super::state::{Options, State};
use crate::registry::{RegistryError, SecretText, now};

/// The longest wait of a shutdown for requests in progress.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest wait for processes that read the database.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(2);

/// Ensures that there is an administrator's password. Returns the password if it was generated now; it is not stored.
pub async fn first_password(state: &State) -> Result<Option<SecretText>, RegistryError> {
    password::prepare(state.registry(), state.admin_password()).await
}

/// The interval between deletions of what is not kept any more.
const TIDY_INTERVAL: Duration = Duration::from_mins(1);

/// Serves until `stop` completes, then answers waiting requests and finishes the requests in progress.
pub async fn run(
    listener: TcpListener,
    tls: Option<Tls>,
    state: State,
    stop: impl Future<Output = ()> + Send + 'static,
) {
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
    let Options { patience, connections, .. } = *state.options();
    tokio::select! {
        () = tidy(&state) => {}
        () = serve(listener, tls, service, patience, connections, stopped) => {}
        () = drained => tracing::warn!("some requests did not finish in time"),
    }
    match tokio::time::timeout(CHECKPOINT_TIMEOUT, state.registry().checkpoint()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "cannot write the log of the database into its file"),
        Err(_) => tracing::warn!("another process reads the database: its log stays beside the file"),
    }
}

/// Deletes what is not kept any more, again and again.
async fn tidy(state: &State) {
    let retention = i64::try_from(state.options().usage_retention.as_secs()).unwrap_or(i64::MAX);
    let mut interval = tokio::time::interval(TIDY_INTERVAL);
    loop {
        interval.tick().await;
        let now = now();
        let usage_before = UnixTime(now.0.saturating_sub(retention));
        if let Err(error) = state.registry().tidy(now, usage_before).await {
            tracing::warn!(%error, "cannot delete old usage");
        }
    }
}
