//! The rows that a principal or an address has: a new token or user must not come into those of others.

use keyswap_core::base::Digest;

use super::write::Write;
use crate::registry::record::error::RegistryError;
use crate::registry::record::reach::Reach;

const IS_PERSON: &str = "SELECT CAST(CASE WHEN
         EXISTS (SELECT 1 FROM objects WHERE principal = $1 AND is_person = 1)
     THEN 1 ELSE 0 END AS BIGINT)";

const HAS_ROWS: &str = "SELECT CAST(CASE WHEN
         EXISTS (SELECT 1 FROM tokens WHERE holder = $1 AND digest <> $1)
         OR EXISTS (SELECT 1 FROM objects WHERE principal = $1)
         OR EXISTS (SELECT 1 FROM budgets WHERE subject = 'token:' || $1)
     THEN 1 ELSE 0 END AS BIGINT)";

/// Selects what an address has outside of the teams `$2`: [`Reach::teams`] says in which form.
const BEYOND: &str = "SELECT CAST(CASE WHEN
         EXISTS (SELECT 1 FROM budgets WHERE subject = 'owner:' || $1)
         OR EXISTS (SELECT 1 FROM usage WHERE owner = $1 AND replace($2, '\n' || team || '\n', '') = $2)
         OR EXISTS (SELECT 1 FROM objects WHERE owner = $1
             AND (team IS NULL OR replace($2, '\n' || team || '\n', '') = $2))
     THEN 1 ELSE 0 END AS BIGINT)";

impl Write {
    /// Returns true if a principal is a person with objects.
    pub(in crate::registry) async fn is_person(&mut self, digest: &Digest) -> Result<bool, RegistryError> {
        let found: i64 =
            sqlx::query_scalar(IS_PERSON).bind(digest.to_hex()).fetch_one(self.connection()).await?;
        Ok(found > 0)
    }

    /// Returns true if a principal has successors, objects or a budget. What it has spent gives nothing to another.
    pub(in crate::registry) async fn has_rows(&mut self, digest: &Digest) -> Result<bool, RegistryError> {
        let found: i64 =
            sqlx::query_scalar(HAS_ROWS).bind(digest.to_hex()).fetch_one(self.connection()).await?;
        Ok(found > 0)
    }

    /// Returns true if an address, in lower case, has tokens, usage or objects beyond a part of the registry, or a budget, which is of
    /// no team.
    pub(in crate::registry) async fn is_used_beyond(
        &mut self,
        email: &str,
        reach: &Reach,
    ) -> Result<bool, RegistryError> {
        let tokens = self.tokens_of(email).await?;
        if tokens.iter().any(|token| !reach.has(token.owner.as_deref(), token.team.as_deref())) {
            return Ok(true);
        }
        let found: i64 =
            sqlx::query_scalar(BEYOND).bind(email).bind(reach.teams()).fetch_one(self.connection()).await?;
        Ok(found > 0)
    }
}
