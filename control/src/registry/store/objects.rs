//! The objects' rows.

use std::collections::BTreeMap;

use keyswap_core::base::{Digest, UnixTime};
use sqlx::any::AnyArguments;
use sqlx::query::QueryAs;
use sqlx::{Any, AnyConnection, AssertSqlSafe};

use super::conditions::Conditions;
use super::database::Store;
use super::write::Write;
use crate::registry::record::error::RegistryError;
use crate::registry::record::model::{Listing, Page};
use crate::registry::record::object::{HeldBy, HolderState, KeptObject, ObjectListing};

/// The condition under which the holder of an object makes requests, as far as the registry knows. `$1` is the time.
macro_rules! is_active {
    () => {
        "(EXISTS (SELECT 1 FROM tokens
              WHERE (tokens.holder = objects.principal OR tokens.digest = objects.principal)
              AND tokens.status = 'active'
              AND (tokens.expires_at IS NULL OR tokens.expires_at > $1)
              AND (tokens.retires_at IS NULL OR tokens.retires_at > $1))
          OR (objects.is_person = 1
              AND EXISTS (SELECT 1 FROM users WHERE users.email = objects.owner AND users.status = 'active')))"
    };
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT digest, ordinal, provider, kind, id, principal, label, owner, team, created_at, expires_at, version,
                 CASE WHEN ",
            is_active!(),
            " THEN 'active'
                  WHEN EXISTS (SELECT 1 FROM tokens
                      WHERE tokens.holder = objects.principal OR tokens.digest = objects.principal)
                    OR (objects.is_person = 1 AND EXISTS (SELECT 1 FROM users WHERE users.email = objects.owner))
                  THEN 'inactive' ELSE 'unknown' END AS holder
             FROM objects ",
            $rest
        )
    };
}

const FIND: &str = select!("WHERE digest = $2");

const OF_HOLDER: &str = select!("WHERE principal = $2 ORDER BY ordinal LIMIT $3");

const INSERT: &str = "INSERT INTO objects
         (digest, provider, kind, id, principal, is_person, label, owner, team, created_at, expires_at, version)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (digest) DO NOTHING";

/// The numbers of digests in one statement: a few statements, so that each connection keeps them prepared.
const SIZES: [usize; 3] = [1, 20, 200];

/// The rows that one statement deletes, so that it blocks others for a short time only.
const MAX_FORGOTTEN: i64 = 10_000;

#[derive(sqlx::FromRow)]
struct Row {
    digest: String,
    ordinal: i64,
    provider: String,
    kind: String,
    id: String,
    principal: String,
    label: String,
    owner: Option<String>,
    team: Option<String>,
    created_at: i64,
    expires_at: Option<i64>,
    version: i64,
    holder: String,
}

type Rows<'q> = QueryAs<'q, Any, Row, AnyArguments>;

impl Store {
    pub(in crate::registry) async fn object(
        &self,
        digest: &Digest,
        now: UnixTime,
    ) -> Result<KeptObject, RegistryError> {
        let row: Option<Row> =
            sqlx::query_as(FIND).bind(now.0).bind(digest.to_hex()).fetch_optional(&self.reader).await?;
        row.ok_or(RegistryError::UnknownObject)?.try_into()
    }

    /// Returns those of the objects that are known, at most 200 are asked for.
    pub(in crate::registry) async fn find_objects(
        &self,
        digests: &[Digest],
        now: UnixTime,
    ) -> Result<Vec<KeptObject>, RegistryError> {
        let Some(last) = digests.last() else { return Ok(Vec::new()) };
        let size = SIZES.into_iter().find(|size| *size >= digests.len()).unwrap_or(digests.len());
        let places: Vec<String> = (2..size.saturating_add(2)).map(|place| format!("${place}")).collect();
        let sql = format!("{}({})", select!("WHERE digest IN "), places.join(","));
        // The rest of the places repeats the last digest.
        let all = digests.iter().chain(std::iter::repeat(last)).take(size);
        let query: Rows<'_> = sqlx::query_as(AssertSqlSafe(sql)).bind(now.0);
        let rows = all.fold(query, |query, digest| query.bind(digest.to_hex())).fetch_all(&self.reader);
        rows.await?.into_iter().map(KeptObject::try_from).collect()
    }

    /// Reads a page. `holder` is the principal of the listing's holder.
    pub(in crate::registry) async fn object_page(
        &self,
        listing: &ObjectListing,
        holder: Option<Digest>,
        now: UnixTime,
    ) -> Result<Page<KeptObject>, RegistryError> {
        let mut conditions = Conditions::default();
        // The time is the first parameter of the statement, see above.
        let time = conditions.number(now.0);
        conditions.with_sql(&format!("{time} = {time}"));
        conditions.within(&listing.reach, "team", "owner");
        conditions.with_text("provider = ?", listing.provider.clone());
        conditions.with_text("kind = ?", listing.kind.clone());
        conditions.with_text("principal = ?", holder.map(|digest| digest.to_hex()));
        conditions.with_text("owner = ?", listing.owner.as_deref().map(str::to_lowercase));
        conditions.with_text("team = ?", listing.team.clone());
        if listing.left {
            conditions.with_sql(concat!("NOT ", is_active!()));
        }
        let count = AssertSqlSafe(format!("SELECT count(*) FROM objects WHERE {}", conditions.sql()));
        let count = sqlx::query_scalar_with::<Any, i64, _>(count, conditions.arguments()?);
        let total = count.fetch_one(&self.reports).await?;
        let size = Listing { limit: listing.limit, ..Listing::default() };
        conditions.with_number("ordinal < ?", listing.after.unwrap_or(i64::MAX));
        let limit = conditions.number(size.size_and_one());
        let sql = format!("{}WHERE {} ORDER BY ordinal DESC LIMIT {limit}", select!(""), conditions.sql());
        let rows = sqlx::query_as_with::<Any, Row, _>(AssertSqlSafe(sql), conditions.arguments()?);
        let rows = rows.fetch_all(&self.reports).await?;
        Page::of(rows, &size, total, |row| row.ordinal, KeptObject::try_from)
    }

    /// Adds objects in the order of their digests, with the number of the newest change as their version. An object
    /// that is known keeps its holder, and the later of the two expiries. Returns the digests of those that are neither:
    /// they have expired, or were deleted meanwhile.
    ///
    /// This takes no number of a change: data planes make many objects, and none has cached the holder of a new one.
    pub(in crate::registry) async fn add_objects(
        &self,
        objects: &BTreeMap<Digest, KeptObject>,
        now: UnixTime,
    ) -> Result<Vec<Digest>, RegistryError> {
        let mut transaction = self.writer.begin_with(self.dialect.begin).await?;
        let mut expired = Vec::new();
        for (digest, object) in objects {
            let held = held_by(&mut transaction, object).await?;
            if insert(&mut transaction, object, &held).await? {
                // Read after the insertion, which waits for a change of this object that is under way.
                sqlx::query(
                    "UPDATE objects SET version = (SELECT value FROM change_sequence) WHERE digest = $1",
                )
                .bind(digest.to_hex())
                .execute(&mut *transaction)
                .await?;
            } else if !extend(&mut transaction, object, now).await? {
                expired.push(*digest);
            }
        }
        transaction.commit().await?;
        Ok(expired)
    }

    /// Returns the number of objects by provider and kind, the greatest first.
    pub(in crate::registry) async fn count_objects(
        &self,
        limit: i64,
    ) -> Result<Vec<(String, String, i64)>, RegistryError> {
        let rows = sqlx::query_as(
            "SELECT provider, kind, count(*) AS number FROM objects GROUP BY provider, kind
             ORDER BY number DESC, provider, kind LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }

    /// Deletes objects that expired before a moment.
    pub(in crate::registry) async fn forget_expired_objects(
        &self,
        before: UnixTime,
    ) -> Result<(), RegistryError> {
        sqlx::query(
            "DELETE FROM objects WHERE digest IN
                 (SELECT digest FROM objects WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
        )
        .bind(before.0)
        .bind(MAX_FORGOTTEN)
        .execute(&self.writer)
        .await?;
        Ok(())
    }
}

impl Write {
    pub(in crate::registry) async fn object(
        &mut self,
        digest: &Digest,
        now: UnixTime,
    ) -> Result<Option<KeptObject>, RegistryError> {
        let query: Rows<'_> = sqlx::query_as(FIND).bind(now.0).bind(digest.to_hex());
        query.fetch_optional(self.connection()).await?.map(KeptObject::try_from).transpose()
    }

    /// Returns the oldest objects of a principal.
    pub(in crate::registry) async fn objects_of(
        &mut self,
        principal: &Digest,
        limit: i64,
        now: UnixTime,
    ) -> Result<Vec<KeptObject>, RegistryError> {
        let query: Rows<'_> = sqlx::query_as(OF_HOLDER).bind(now.0).bind(principal.to_hex()).bind(limit);
        query.fetch_all(self.connection()).await?.into_iter().map(KeptObject::try_from).collect()
    }

    /// Stores an object and its holder, in place of a row with the same digest.
    pub(in crate::registry) async fn put_object(&mut self, object: &KeptObject) -> Result<(), RegistryError> {
        self.delete_object(&object.digest).await?;
        let held = HeldBy {
            principal: object.principal,
            label: object.label.clone(),
            owner: object.owner.clone(),
            team: object.team.clone(),
        };
        insert(self.connection(), object, &held).await.map(drop)
    }

    /// Gives an object to another holder.
    pub(in crate::registry) async fn give_object(
        &mut self,
        digest: &Digest,
        held: &HeldBy,
        version: i64,
    ) -> Result<(), RegistryError> {
        sqlx::query(
            "UPDATE objects SET principal = $2, is_person = $3, label = $4, owner = $5, team = $6, version = $7
             WHERE digest = $1",
        )
        .bind(digest.to_hex())
        .bind(held.principal.to_hex())
        .bind(i64::from(held.is_person()))
        .bind(&held.label)
        .bind(held.owner.as_deref())
        .bind(held.team.as_deref())
        .bind(version)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Deletes an object. Returns true if it was there.
    pub(in crate::registry) async fn delete_object(
        &mut self,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        let done = sqlx::query("DELETE FROM objects WHERE digest = $1")
            .bind(digest.to_hex())
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Returns the holder that data planes have for a claim.
    pub(in crate::registry) async fn holder_of_claim(
        &mut self,
        object: &KeptObject,
    ) -> Result<HeldBy, RegistryError> {
        held_by(self.connection(), object).await
    }
}

/// Returns the holder of a claimed object: of a token the first of its line of rotations, with the label that the registry
/// knows.
async fn held_by(connection: &mut AnyConnection, object: &KeptObject) -> Result<HeldBy, RegistryError> {
    let found: Option<(String, String)> =
        sqlx::query_as("SELECT holder, label FROM tokens WHERE digest = $1 OR holder = $1 LIMIT 1")
            .bind(object.principal.to_hex())
            .fetch_optional(connection)
            .await?;
    let (owner, team) = (object.owner.clone(), object.team.clone());
    let (principal, label) = match found {
        Some((holder, label)) if holder.is_empty() => (object.principal, label),
        Some((holder, label)) => (read(&holder)?, label),
        None => (object.principal, String::new()),
    };
    let held = HeldBy { principal, label, owner, team };
    Ok(match &held.owner {
        Some(owner) if held.label.is_empty() && held.is_person() => HeldBy { label: owner.clone(), ..held },
        _ => held,
    })
}

/// Inserts a row. Returns false if there is one.
async fn insert(
    connection: &mut AnyConnection,
    object: &KeptObject,
    held: &HeldBy,
) -> Result<bool, RegistryError> {
    let done = sqlx::query(INSERT)
        .bind(object.digest.to_hex())
        .bind(&object.provider)
        .bind(&object.kind)
        .bind(&object.id)
        .bind(held.principal.to_hex())
        .bind(i64::from(held.is_person()))
        .bind(&held.label)
        .bind(held.owner.as_deref())
        .bind(held.team.as_deref())
        .bind(object.created_at.0)
        .bind(object.expires_at.map(|at| at.0))
        .bind(object.version)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps the later expiry of a known object. Returns false if the object has expired or is not there.
async fn extend(
    connection: &mut AnyConnection,
    object: &KeptObject,
    now: UnixTime,
) -> Result<bool, RegistryError> {
    let expiry: Option<(Option<i64>,)> = sqlx::query_as("SELECT expires_at FROM objects WHERE digest = $1")
        .bind(object.digest.to_hex())
        .fetch_optional(&mut *connection)
        .await?;
    let present = match expiry {
        // It was deleted meanwhile.
        None => return Ok(false),
        Some((None,)) => return Ok(true),
        Some((Some(present),)) if present <= now.0 => return Ok(false),
        Some((Some(present),)) => present,
    };
    if object.expires_at.is_none_or(|at| at.0 > present) {
        sqlx::query("UPDATE objects SET expires_at = $2 WHERE digest = $1")
            .bind(object.digest.to_hex())
            .bind(object.expires_at.map(|at| at.0))
            .execute(connection)
            .await?;
    }
    Ok(true)
}

fn read(hex: &str) -> Result<Digest, RegistryError> {
    Digest::from_hex(hex).ok_or(RegistryError::Corrupt("digest"))
}

impl TryFrom<Row> for KeptObject {
    type Error = RegistryError;

    fn try_from(row: Row) -> Result<Self, RegistryError> {
        Ok(Self {
            digest: read(&row.digest)?,
            provider: row.provider,
            kind: row.kind,
            id: row.id,
            principal: read(&row.principal)?,
            label: row.label,
            owner: row.owner,
            team: row.team,
            holder: HolderState::from_name(&row.holder).ok_or(RegistryError::Corrupt("state of a holder"))?,
            created_at: UnixTime(row.created_at),
            expires_at: row.expires_at.map(UnixTime),
            version: row.version,
        })
    }
}
