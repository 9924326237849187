//! The part that the tables of credentials and of API keys share: the last use of a row, and its end.

use keyswap_core::base::{Digest, UnixTime};

use super::database::Store;
use super::write::Write;
use crate::registry::record::error::RegistryError;

/// A table of secrets that clients present, each known by its digest.
#[derive(Clone, Copy, Debug)]
pub(in crate::registry) enum Presented {
    /// Credentials of the data-plane API.
    Credential,
    /// API keys of the administration.
    ApiKey,
}

/// Builds a statement on the table.
macro_rules! on_table {
    ($what:expr, $before:literal, $rest:literal) => {
        match $what {
            Presented::Credential => concat!($before, " credentials ", $rest),
            Presented::ApiKey => concat!($before, " api_keys ", $rest),
        }
    };
}

impl Store {
    /// Stores the time of a use, unless one after `before` is stored.
    pub(in crate::registry) async fn see(
        &self,
        what: Presented,
        digest: &Digest,
        now: UnixTime,
        before: UnixTime,
    ) -> Result<(), RegistryError> {
        let set = on_table!(
            what,
            "UPDATE",
            "SET last_seen = $2 WHERE digest = $1 AND (last_seen IS NULL OR last_seen <= $3)"
        );
        sqlx::query(set).bind(digest.to_hex()).bind(now.0).bind(before.0).execute(&self.writer).await?;
        Ok(())
    }
}

impl Write {
    /// Deletes a row.
    pub(in crate::registry) async fn revoke(
        &mut self,
        what: Presented,
        digest: &Digest,
    ) -> Result<(), RegistryError> {
        let delete = on_table!(what, "DELETE FROM", "WHERE digest = $1");
        sqlx::query(delete).bind(digest.to_hex()).execute(self.connection()).await?;
        Ok(())
    }
}
