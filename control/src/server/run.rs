//! Start, serving and graceful shutdown of a server.

use std::future::pending;
use std::time::Duration;

use keyswap_core::base::UnixTime;
use tokio::net::TcpListener;

use super::admin::gate::password;
use super::connections::{ConnectionLimits, Tls, serve};
use super::router::{Part, router};
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

/// The sockets of a server.
pub struct Listeners {
    /// The address of all, or of data planes alone.
    pub all: TcpListener,
    /// The address of the administration, `None` if it has none of its own.
    pub administration: Option<TcpListener>,
}

/// Serves until `stop` completes, then answers waiting requests and finishes the requests in progress.
pub async fn run(
    listeners: Listeners,
    tls: Option<Tls>,
    state: State,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let stopping = state.clone();
    let stopped = async move {
        stop.await;
        tracing::info!("stopping");
        stopping.stop();
        pending::<()>().await;
    };
    let drained = async {
        state.stopping().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        () = tidy(&state) => {}
        () = keep_current(tls) => {}
        () = stopped => {}
        () = serve_all(listeners, &state) => {}
        () = drained => tracing::warn!("some requests did not finish in time"),
    }
    match tokio::time::timeout(CHECKPOINT_TIMEOUT, state.registry().checkpoint()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "cannot write the log of the database into its file"),
        Err(_) => tracing::warn!("another process reads the database: its log stays beside the file"),
    }
}

/// Serves all addresses until the server stops and the requests in progress are answered.
async fn serve_all(Listeners { all, administration }: Listeners, state: &State) {
    let Options { patience, connections, tls, .. } = state.options();
    let serve = |listener, part| {
        let router = router(state.clone(), part);
        serve(listener, router, tls.clone(), *patience, *connections, state.stopping())
    };
    match administration {
        None => serve(all, Part::All).await,
        Some(administration) => {
            tokio::join!(serve(all, Part::DataPlanes), serve(administration, Part::Administration));
        }
    }
}

/// Keeps TLS current. Never completes.
async fn keep_current(tls: Option<Tls>) {
    match tls {
        Some(mut tls) => tls.keep_current().await,
        None => pending().await,
    }
}

/// The largest number of connections to a dashboard of its own. They take no place from data planes.
const MAX_DASHBOARD_CONNECTIONS: u32 = 512;

/// Serves the dashboard alone at another address, until the server of this state stops.
pub(crate) async fn run_dashboard(listener: TcpListener, tls: Option<Tls>, state: State) {
    let limits = ConnectionLimits { total: MAX_DASHBOARD_CONNECTIONS, per_address: None };
    let (router, patience) = (router(state.clone(), Part::Dashboard), state.options().patience);
    let identity = tls.as_ref().map(Tls::state);
    let drained = async {
        state.stopping().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        () = keep_current(tls) => {}
        () = serve(listener, router, identity, patience, limits, state.stopping()) => {}
        () = drained => tracing::warn!("some requests of the dashboard did not finish in time"),
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
