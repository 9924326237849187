//! The token registry: who may call what, kept in a database.
//!
//! It knows tokens by their SHA-256 only; no raw token reaches the database, a log or an error. It decides who
//! wins when two ask at once, and hands out the changes in an order in which a reader misses nothing. It speaks no
//! HTTP and does not judge requests: that is the engine's.
//!
//! The way in is [`Registry::open`].

mod actor;
mod day;
mod draft;
mod error;
mod feed;
mod limits;
mod model;
mod policies;
mod rate_limit;
mod secret_text;
mod sign_in;
mod store;
mod tokens;
mod usage;
mod users;
mod wake;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use keyswap_core::base::UnixTime;

pub use actor::Actor;
pub use day::Day;
pub use draft::{KnownToken, NewToken, NewUser, Source, TokenPatch, UserPatch};
pub use error::{Kind, RegistryError};
pub use feed::{Change, Feed, Subject};
pub use limits::Taken;
pub use model::{AuditEntry, Listing, Page, Status, Token, TokenRecord, User};
pub use policies::{Plane, PolicyStatus, Report, Revision};
pub use rate_limit::RateLimit;
pub(crate) use rate_limit::seconds;
pub use secret_text::SecretText;
pub use store::DatabaseUrl;
pub use tokens::{Created, LONGEST_GRACE, Rotation};
pub use usage::Mark;

use store::Store;

/// What a registry's operations answer.
pub type Result<T> = std::result::Result<T, RegistryError>;

/// A registry in a database. Clones share its connections.
///
/// Several of them, in one process or in many, may use the same database.
#[derive(Clone)]
pub struct Registry(Arc<Store>);

impl Registry {
    /// Opens the database, creates it if it is a file that is not there yet, and brings its tables up to date.
    pub async fn open(url: &DatabaseUrl) -> Result<Self> {
        Store::open(url).await.map(|store| Self(Arc::new(store)))
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.0.sequence().await.map(drop)
    }

    /// The newest entries of the audit log first.
    pub async fn audit(&self, listing: &Listing) -> Result<Page<AuditEntry>> {
        self.0.audit_page(listing).await
    }

    /// Writes into the audit log what is not a change of a token or a user, such as a sign-in.
    pub async fn note(&self, actor: &Actor, action: &'static str, subject: &str) -> Result<()> {
        let mut write = self.0.write().await?;
        write.audit(actor, action, subject, &serde_json::json!({})).await?;
        write.commit().await
    }
}

/// The time, from the machine's clock.
pub(crate) fn now() -> UnixTime {
    UnixTime(i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX))
}

/// A clock that was set before 1970 says 1970.
fn since_1970() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
