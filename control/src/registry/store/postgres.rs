//! PostgreSQL, for several replicas of the server.
//!
//! An advisory lock serializes the migrations of replicas that start together. Replicas notify each other of changes
//! with LISTEN and NOTIFY.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::postgres::{PgConnection, PgListener, PgPoolOptions, PgSslMode};
use sqlx::{AnyPool, Connection as _, Executor as _};
use tokio::sync::Semaphore;

use super::database::{Background, Store};
use super::dialect::Dialect;
use super::url;
use super::wake::Wake;
use crate::registry::record::error::RegistryError;

const DIALECT: Dialect = Dialect {
    begin: "BEGIN",
    lock: "SELECT value FROM change_sequence FOR UPDATE",
    lock_key: Some("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"),
    notify: Some("NOTIFY keyswap_changes"),
    checkpoint: None,
};

const CHANNEL: &str = "keyswap_changes";

const CONNECTIONS: u32 = 16;

/// The time limit of a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The lists and reports that are read at a time.
const MAX_REPORTS: u32 = 4;

/// The pause before the listener reconnects to a server that does not answer.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn open(url: &str) -> Result<Store, RegistryError> {
    tell_if_readable(url)?;
    try_once(url).await?;
    let once = PgPoolOptions::new().max_connections(1).connect(url).await?;
    sqlx::migrate!("migrations/postgres").run(&once).await?;
    once.close().await;

    let shared = pool(url, CONNECTIONS).await?;
    let mut listener = PgListener::connect(url).await?;
    listener.listen(CHANNEL).await?;
    let wake = Wake::new();
    Ok(Store {
        reader: shared.clone(),
        writer: shared,
        reports: pool(url, MAX_REPORTS).await?,
        dialect: DIALECT,
        wake: wake.clone(),
        forgotten_at: AtomicU64::new(0),
        open_windows: AtomicU64::new(0),
        objects: AtomicU64::new(0),
        noting: Arc::new(Semaphore::new(1)),
        _listener: Background(tokio::spawn(listen(listener, wake))),
    })
}

async fn pool(url: &str, size: u32) -> Result<AnyPool, RegistryError> {
    let options = AnyPoolOptions::new().max_connections(size).acquire_timeout(CONNECT_TIMEOUT).after_connect(
        |connection, _| {
            Box::pin(async move {
                // A process that hangs in a transaction must not block all others for ever.
                connection.execute("SET idle_in_transaction_session_timeout = '30s'").await?;
                connection.execute("SET lock_timeout = '10s'").await?;
                connection.execute("SET synchronous_commit = on").await?;
                Ok(())
            })
        },
    );
    Ok(options.connect(url).await?)
}

/// Connects and disconnects. Returns the error of a server that is down at once: a pool would try again for half a minute, and
/// then not name it.
async fn try_once(url: &str) -> Result<(), RegistryError> {
    match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect(url)).await {
        Ok(connected) => Ok(connected.map_err(with_remedy)?.close().await?),
        Err(_) => Err(sqlx::Error::PoolTimedOut.into()),
    }
}

/// Warns of a connection that others on the network may read.
fn tell_if_readable(url: &str) -> Result<(), RegistryError> {
    let options = url::options(url)?;
    let may_be_plain =
        matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer);
    if may_be_plain && !url::is_local(&options) {
        tracing::warn!(
            "the connection to the database may be without TLS: say `sslmode=verify-full` in its address"
        );
    }
    Ok(())
}

/// Returns the error of a connection, with a remedy where TLS failed. A handshake fails as an error of the socket.
fn with_remedy(error: sqlx::Error) -> RegistryError {
    let of_handshake = |error: &std::io::Error| {
        error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
    };
    match error {
        sqlx::Error::Tls(error) => RegistryError::DatabaseTls(error.to_string()),
        sqlx::Error::Io(error) if of_handshake(&error) => RegistryError::DatabaseTls(error.to_string()),
        error => error.into(),
    }
}

/// Announces every notification, and every lost connection, during which notifications may have been missed.
async fn listen(mut listener: PgListener, wake: Wake) {
    loop {
        match listener.try_recv().await {
            Ok(_) => wake.announce(),
            Err(error) => {
                tracing::warn!(%error, "cannot listen for changes of other replicas");
                wake.announce();
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        }
    }
}
