//! The rows of what waits for signatures.

use keyswap_core::base::UnixTime;
use sqlx::Any;

use super::database::Store;
use super::write::Write;
use crate::registry::record::error::RegistryError;
use crate::registry::record::proposal::{Held, ProposalKind};

const HELD: &str = "SELECT jws, proposed_at, proposed_by FROM policy_proposals WHERE name = $1 AND kind = $2";

#[derive(sqlx::FromRow)]
struct HeldRow {
    jws: String,
    proposed_at: i64,
    proposed_by: String,
}

impl Store {
    pub(in crate::registry) async fn proposal(
        &self,
        name: &str,
        kind: ProposalKind,
    ) -> Result<Option<Held>, RegistryError> {
        let row: Option<HeldRow> =
            sqlx::query_as(HELD).bind(name).bind(kind.name()).fetch_optional(&self.reader).await?;
        Ok(row.map(Held::from))
    }
}

impl Write {
    pub(in crate::registry) async fn proposal(
        &mut self,
        name: &str,
        kind: ProposalKind,
    ) -> Result<Option<Held>, RegistryError> {
        let row: Option<HeldRow> =
            sqlx::query_as(HELD).bind(name).bind(kind.name()).fetch_optional(self.connection()).await?;
        Ok(row.map(Held::from))
    }

    /// Stores a proposal in place of the one of this kind.
    pub(in crate::registry) async fn put_proposal(
        &mut self,
        name: &str,
        kind: ProposalKind,
        held: &Held,
    ) -> Result<(), RegistryError> {
        sqlx::query::<Any>(
            "INSERT INTO policy_proposals (name, kind, jws, proposed_at, proposed_by) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (name, kind) DO UPDATE SET jws = excluded.jws, proposed_at = excluded.proposed_at,
                 proposed_by = excluded.proposed_by",
        )
        .bind(name)
        .bind(kind.name())
        .bind(&held.jws)
        .bind(held.proposed_at.0)
        .bind(&held.proposed_by)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    pub(in crate::registry) async fn delete_proposal(
        &mut self,
        name: &str,
        kind: ProposalKind,
    ) -> Result<(), RegistryError> {
        sqlx::query::<Any>("DELETE FROM policy_proposals WHERE name = $1 AND kind = $2")
            .bind(name)
            .bind(kind.name())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

impl From<HeldRow> for Held {
    fn from(HeldRow { jws, proposed_at, proposed_by }: HeldRow) -> Self {
        Self { jws, proposed_at: UnixTime(proposed_at), proposed_by }
    }
}
