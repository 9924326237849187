//! SQLite: one file, one writer at a time, readers that never wait.
//!
//! An acknowledged write is on the disk: every commit flushes the log (`synchronous=FULL`). Changes of other processes,
//! such as the command line beside a server, are detected by polling, only while a handler waits.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Executor as _};
use tokio::sync::Semaphore;

use super::database::{Background, Store};
use super::dialect::Dialect;
use super::wake::Wake;
use crate::registry::record::error::RegistryError;

const DIALECT: Dialect = Dialect {
    // No other process writes until the transaction's end.
    begin: "BEGIN IMMEDIATE",
    lock: "SELECT value FROM change_sequence",
    lock_key: None,
    notify: None,
    checkpoint: Some("PRAGMA wal_checkpoint(TRUNCATE)"),
};

/// The longest wait of a writer for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The interval between polls for changes of other processes.
const POLL_INTERVAL: Duration = Duration::from_millis(25);

const MAX_READERS: u32 = 4;

/// The lists and reports that are read at a time.
const MAX_REPORTS: u32 = 2;

/// The characters of a path that are percent-encoded in the pool's URL.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');

pub(super) async fn open(path: &Path) -> Result<Store, RegistryError> {
    let path = std::path::absolute(path)?;
    let watched = prepare(&path).await?;
    let url = url_of(&path)?;
    let pool = |size| pool(&url, size);
    let wake = Wake::new();
    Ok(Store {
        reader: pool(MAX_READERS).await?,
        reports: pool(MAX_REPORTS).await?,
        writer: pool(1).await?,
        dialect: DIALECT,
        wake: wake.clone(),
        forgotten_at: AtomicU64::new(0),
        open_windows: AtomicU64::new(0),
        objects: AtomicU64::new(0),
        noting: Arc::new(Semaphore::new(1)),
        _listener: Background(tokio::spawn(watch(watched, wake))),
    })
}

async fn pool(url: &str, size: u32) -> Result<AnyPool, RegistryError> {
    let options = AnyPoolOptions::new()
        .max_connections(size)
        // A file's connection does not break between two statements.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let busy_timeout = format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis());
                connection.execute(sqlx::AssertSqlSafe(busy_timeout)).await?;
                connection.execute("PRAGMA synchronous = FULL").await?;
                Ok(())
            })
        });
    Ok(options.connect(url).await?)
}

/// Creates the file and migrates its tables, one process at a time. Returns the connection for [`watch`].
async fn prepare(path: &Path) -> Result<SqliteConnection, RegistryError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // Statements of the polls would flood the log.
        .disable_statement_logging();
    let lock = lock(path.to_owned()).await?;
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    sqlx::migrate!("migrations/sqlite").run(&pool).await?;
    drop(lock);
    Ok(pool.acquire().await?.detach())
}

/// Locks the file beside the database. SQLite's own locks do not cover the switch to write-ahead logging.
async fn lock(path: PathBuf) -> Result<File, RegistryError> {
    let take = move || {
        let mut beside = path.clone().into_os_string();
        beside.push("-lock");
        let lock = private(Path::new(&beside))?;
        lock.lock()?;
        // SQLite creates its other files with the permissions of this one.
        private(&path)?;
        Ok(lock)
    };
    match tokio::task::spawn_blocking(take).await {
        Ok(taken) => taken.map_err(RegistryError::File),
        Err(error) => Err(RegistryError::File(std::io::Error::other(error))),
    }
}

/// Opens a file. A missing file is created with access for its owner only.
fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Returns the pool's URL of a file. A path that is not UTF-8 is an error.
fn url_of(path: &Path) -> Result<String, RegistryError> {
    let text = path.to_str().ok_or(RegistryError::DatabaseUrl("the file's name is not UTF-8"))?;
    let path = utf8_percent_encode(text, ESCAPED);
    Ok(format!("sqlite://{path}?mode=rw"))
}

/// Announces changes of all other connections while a handler waits. The data version is kept between waits, so a
/// change between two waits is announced as well.
async fn watch(mut connection: SqliteConnection, wake: Wake) {
    let mut known: Option<i64> = None;
    loop {
        wake.until_somebody_waits().await;
        match sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut connection).await {
            Ok(version) if known == Some(version) => {}
            Ok(version) => {
                known = Some(version);
                wake.announce();
            }
            Err(error) => {
                tracing::warn!(%error, "cannot watch the database for changes");
                wake.announce();
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
