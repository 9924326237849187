//! Opening a database of either kind.

use super::database::Store;
use super::url::DatabaseUrl;
use super::{postgres, sqlite};
use crate::registry::record::error::RegistryError;

impl Store {
    pub(in crate::registry) async fn open(url: &DatabaseUrl) -> Result<Self, RegistryError> {
        sqlx::any::install_default_drivers();
        match url {
            DatabaseUrl::Sqlite(path) => sqlite::open(path).await,
            DatabaseUrl::Postgres(url) => postgres::open(url.expose()).await,
        }
    }
}
