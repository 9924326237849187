//! The rows of policies and of the data planes that run them.

use keyswap_core::base::{Digest, UnixTime};
use sqlx::Any;

use super::database::Store;
use super::write::Write;
use crate::registry::record::error::RegistryError;
use crate::registry::record::policy::{Plane, Revision};

/// The largest number of data planes per policy whose reports are stored.
const MAX_PLANES: i64 = 1000;
/// The age of a data plane's last report after which it may be deleted, when a new data plane reports.
const PLANE_RETENTION_SECONDS: i64 = 7 * 86_400;

macro_rules! revision {
    () => {
        "name, revision, sha256, percent, published_at, published_by"
    };
}

macro_rules! plane {
    () => {
        "plane, revision, refused, problem, detail, seen_at"
    };
}

#[derive(sqlx::FromRow)]
struct RevisionRow {
    name: String,
    revision: i64,
    sha256: String,
    percent: Option<i64>,
    published_at: i64,
    published_by: String,
}

#[derive(sqlx::FromRow)]
struct PlaneRow {
    plane: String,
    revision: Option<i64>,
    refused: Option<i64>,
    problem: Option<String>,
    detail: Option<String>,
    seen_at: i64,
}

impl Store {
    pub(in crate::registry) async fn newest_revisions(&self) -> Result<Vec<Revision>, RegistryError> {
        let rows: Vec<RevisionRow> = sqlx::query_as(concat!(
            "SELECT ",
            revision!(),
            " FROM policy_revisions p
             WHERE revision = (SELECT max(revision) FROM policy_revisions WHERE name = p.name) ORDER BY name"
        ))
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Revision::try_from).collect()
    }

    /// Returns at most `limit` revisions, newest first.
    pub(in crate::registry) async fn revisions(
        &self,
        name: &str,
        limit: i64,
    ) -> Result<Vec<Revision>, RegistryError> {
        let rows: Vec<RevisionRow> = sqlx::query_as(concat!(
            "SELECT ",
            revision!(),
            " FROM policy_revisions WHERE name = $1 ORDER BY revision DESC LIMIT $2"
        ))
        .bind(name)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter().map(Revision::try_from).collect()
    }

    pub(in crate::registry) async fn newest_revision(
        &self,
        name: &str,
    ) -> Result<Option<i64>, RegistryError> {
        let newest = sqlx::query_scalar("SELECT max(revision) FROM policy_revisions WHERE name = $1");
        Ok(newest.bind(name).fetch_one(&self.reader).await?)
    }

    /// Returns the number and the bundle of a revision. `None` selects the newest revision.
    pub(in crate::registry) async fn bundle(
        &self,
        name: &str,
        revision: Option<i64>,
    ) -> Result<Option<(i64, String)>, RegistryError> {
        let found = sqlx::query_as(
            "SELECT revision, bundle FROM policy_revisions
             WHERE name = $1 AND ($2 = 0 OR revision = $2) ORDER BY revision DESC LIMIT 1",
        )
        .bind(name)
        .bind(revision.unwrap_or(0))
        .fetch_optional(&self.reader)
        .await?;
        Ok(found)
    }

    /// Returns the number of the revision whose bundle has this SHA-256.
    pub(in crate::registry) async fn revision_of(
        &self,
        name: &str,
        digest: &Digest,
    ) -> Result<Option<i64>, RegistryError> {
        let found =
            sqlx::query_scalar("SELECT revision FROM policy_revisions WHERE name = $1 AND digest = $2")
                .bind(name)
                .bind(digest.to_hex())
                .fetch_optional(&self.reader)
                .await?;
        Ok(found)
    }

    pub(in crate::registry) async fn planes(&self, name: &str) -> Result<Vec<Plane>, RegistryError> {
        let rows: Vec<PlaneRow> = sqlx::query_as(concat!(
            "SELECT ",
            plane!(),
            " FROM policy_planes WHERE name = $1 ORDER BY plane"
        ))
        .bind(name)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows.into_iter().map(Plane::from).collect())
    }

    pub(in crate::registry) async fn plane(
        &self,
        name: &str,
        plane: &str,
    ) -> Result<Option<Plane>, RegistryError> {
        let row: Option<PlaneRow> = sqlx::query_as(concat!(
            "SELECT ",
            plane!(),
            " FROM policy_planes WHERE name = $1 AND plane = $2"
        ))
        .bind(name)
        .bind(plane)
        .fetch_optional(&self.reader)
        .await?;
        Ok(row.map(Plane::from))
    }

    /// Stores the report of a data plane. A new data plane is stored only below [`MAX_PLANES`]. Reports are not part of
    /// the change feed.
    pub(in crate::registry) async fn keep_plane(
        &self,
        name: &str,
        plane: &Plane,
        is_known: bool,
    ) -> Result<(), RegistryError> {
        let mut transaction = self.writer.begin_with(self.dialect.begin).await?;
        if !is_known {
            sqlx::query("DELETE FROM policy_planes WHERE seen_at < $1")
                .bind(plane.seen_at.0 - PLANE_RETENTION_SECONDS)
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query::<Any>(
            "INSERT INTO policy_planes (name, plane, revision, refused, problem, detail, seen_at)
             SELECT $1, $2, $3, $4, $5, $6, $7
             WHERE $8 = 1 OR (SELECT count(*) FROM policy_planes WHERE name = $1) < $9
             ON CONFLICT (name, plane) DO UPDATE SET revision = excluded.revision, refused = excluded.refused,
                 problem = excluded.problem, detail = excluded.detail, seen_at = excluded.seen_at",
        )
        .bind(name)
        .bind(&plane.plane)
        .bind(plane.revision)
        .bind(plane.refused)
        .bind(plane.problem.as_deref())
        .bind(plane.detail.as_deref())
        .bind(plane.seen_at.0)
        .bind(i64::from(is_known))
        .bind(MAX_PLANES)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }
}

impl Write {
    /// Returns the bundle of a revision.
    pub(in crate::registry) async fn bundle_at(
        &mut self,
        name: &str,
        revision: i64,
    ) -> Result<Option<String>, RegistryError> {
        let found =
            sqlx::query_scalar("SELECT bundle FROM policy_revisions WHERE name = $1 AND revision = $2")
                .bind(name)
                .bind(revision)
                .fetch_optional(self.connection())
                .await?;
        Ok(found)
    }

    /// Returns the number and the bundle of the next greater revision.
    pub(in crate::registry) async fn bundle_after(
        &mut self,
        name: &str,
        revision: i64,
    ) -> Result<Option<(i64, String)>, RegistryError> {
        let found = sqlx::query_as(
            "SELECT revision, bundle FROM policy_revisions WHERE name = $1 AND revision > $2
             ORDER BY revision LIMIT 1",
        )
        .bind(name)
        .bind(revision)
        .fetch_optional(self.connection())
        .await?;
        Ok(found)
    }

    /// Deletes the revisions after this one, and the reports on them: their numbers are used again.
    pub(in crate::registry) async fn delete_revisions_after(
        &mut self,
        name: &str,
        revision: i64,
    ) -> Result<(), RegistryError> {
        for statement in [
            "DELETE FROM policy_revisions WHERE name = $1 AND revision > $2",
            "UPDATE policy_planes SET refused = NULL, problem = NULL, detail = NULL
             WHERE name = $1 AND refused > $2",
        ] {
            sqlx::query::<Any>(statement).bind(name).bind(revision).execute(self.connection()).await?;
        }
        Ok(())
    }

    pub(in crate::registry) async fn insert_revision(
        &mut self,
        revision: &Revision,
        bundle: &str,
    ) -> Result<(), RegistryError> {
        sqlx::query::<Any>(
            "INSERT INTO policy_revisions (name, revision, bundle, digest, sha256, percent, published_at, published_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&revision.name)
        .bind(revision.revision)
        .bind(bundle)
        .bind(Digest::of(bundle.as_bytes()).to_hex())
        .bind(&revision.sha256)
        .bind(revision.percent.map(i64::from))
        .bind(revision.published_at.0)
        .bind(&revision.published_by)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

impl TryFrom<RevisionRow> for Revision {
    type Error = RegistryError;

    fn try_from(row: RevisionRow) -> Result<Self, RegistryError> {
        let percent = row.percent.map(u8::try_from).transpose();
        Ok(Self {
            name: row.name,
            revision: row.revision,
            sha256: row.sha256,
            percent: percent.map_err(|_| RegistryError::Corrupt("share of a candidate"))?,
            published_at: UnixTime(row.published_at),
            published_by: row.published_by,
        })
    }
}

impl From<PlaneRow> for Plane {
    fn from(row: PlaneRow) -> Self {
        let PlaneRow { plane, revision, refused, problem, detail, seen_at } = row;
        Self { plane, revision, refused, problem, detail, seen_at: UnixTime(seen_at) }
    }
}
