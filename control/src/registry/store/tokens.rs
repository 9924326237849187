//! The tokens' rows.

use keyswap_core::base::{Digest, UnixTime};
use sqlx::Any;

use super::database::Store;
use super::names::{from_json, to_json};
use super::write::Write;
use crate::registry::record::day::Day;
use crate::registry::record::error::RegistryError;
use crate::registry::record::mark::Mark;
use crate::registry::record::model::{Status, Token};
use crate::registry::record::rate_limit::RateLimit;

macro_rules! columns {
    () => {
        "digest, ordinal, label, owner, team, last4, providers, models, status, created_at, expires_at, rate_requests, \
         rate_tokens, rate_per, certificate, successor, retires_at, holder, last_used, version, source, withdrawn_at"
    };
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM tokens WHERE digest = $1");

pub(super) const COLUMNS: &str = columns!();

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    digest: String,
    pub(super) ordinal: i64,
    label: String,
    owner: Option<String>,
    team: Option<String>,
    last4: String,
    providers: String,
    models: String,
    status: String,
    created_at: i64,
    expires_at: Option<i64>,
    rate_requests: Option<i64>,
    rate_tokens: Option<i64>,
    rate_per: Option<i64>,
    certificate: Option<String>,
    successor: Option<String>,
    retires_at: Option<i64>,
    holder: String,
    last_used: Option<i64>,
    version: i64,
    source: Option<String>,
    withdrawn_at: Option<i64>,
}

impl Store {
    pub(in crate::registry) async fn token(&self, digest: &Digest) -> Result<Token, RegistryError> {
        let row: Option<Row> =
            sqlx::query_as(FIND).bind(digest.to_hex()).fetch_optional(&self.reader).await?;
        row.ok_or(RegistryError::UnknownToken)?.try_into()
    }

    /// Returns the number of active tokens without a successor that expire after `from` and not after `until`.
    pub(in crate::registry) async fn expiring_tokens(
        &self,
        from: UnixTime,
        until: UnixTime,
    ) -> Result<i64, RegistryError> {
        let count = sqlx::query_scalar(
            "SELECT count(*) FROM tokens
             WHERE status = 'active' AND successor IS NULL AND expires_at > $1 AND expires_at <= $2",
        )
        .bind(from.0)
        .bind(until.0)
        .fetch_one(&self.reader)
        .await?;
        Ok(count)
    }

    /// Advances the last use of tokens to the marks' days. A later last use stays, and unknown tokens are ignored.
    pub(in crate::registry) async fn mark_used(&self, marks: &[Mark]) -> Result<(), RegistryError> {
        let mut transaction = self.writer.begin_with(self.dialect.begin).await?;
        for Mark { digest, day } in marks {
            sqlx::query(
                "UPDATE tokens SET last_used = $2 WHERE digest = $1 AND (last_used IS NULL OR last_used < $2)",
            )
            .bind(digest.to_hex())
            .bind(day.0)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

impl Write {
    pub(in crate::registry) async fn token(&mut self, digest: &Digest) -> Result<Token, RegistryError> {
        let row: Option<Row> =
            sqlx::query_as(FIND).bind(digest.to_hex()).fetch_optional(self.connection()).await?;
        row.ok_or(RegistryError::UnknownToken)?.try_into()
    }

    /// Adds a token, an error if it exists.
    pub(in crate::registry) async fn insert_token(&mut self, token: &Token) -> Result<(), RegistryError> {
        let hex = token.digest.to_hex();
        let search = searched(token);
        let [requests, tokens, seconds] = split(token.rate_limit);
        let done = sqlx::query::<Any>(
            "INSERT INTO tokens (digest, ordinal, label, owner, last4, providers, models, status, created_at,
                 expires_at, rate_requests, rate_per, version, search, team, holder, rate_tokens, source, certificate)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $2, $13, $14, $15, $16, $17, $18)
             ON CONFLICT (digest) DO NOTHING",
        )
        .bind(hex)
        .bind(token.version)
        .bind(&token.label)
        .bind(token.owner.as_deref())
        .bind(&token.last4)
        .bind(to_json(&token.providers))
        .bind(to_json(&token.models))
        .bind(token.status.name())
        .bind(token.created_at.0)
        .bind(token.own_expiry.map(|at| at.0))
        .bind(requests)
        .bind(seconds)
        .bind(search)
        .bind(token.team.as_deref())
        .bind(token.holder.to_hex())
        .bind(tokens)
        .bind(token.source.as_deref())
        .bind(token.certificate.map(|digest| digest.to_hex()))
        .execute(self.connection())
        .await?;
        (done.rows_affected() == 1).then_some(()).ok_or(RegistryError::DuplicateToken)
    }

    /// Updates the changeable columns of a token.
    pub(in crate::registry) async fn update_token(&mut self, token: &Token) -> Result<(), RegistryError> {
        let [requests, tokens, seconds] = split(token.rate_limit);
        let done = sqlx::query::<Any>(
            "UPDATE tokens SET status = $2, expires_at = $3, successor = $4, retires_at = $5, version = $6,
                 rate_requests = $7, rate_per = $8, team = $9, search = $10, rate_tokens = $11, label = $12,
                 owner = $13, providers = $14, models = $15, withdrawn_at = $16
             WHERE digest = $1",
        )
        .bind(token.digest.to_hex())
        .bind(token.status.name())
        .bind(token.own_expiry.map(|at| at.0))
        .bind(token.successor.map(|digest| digest.to_hex()))
        .bind(token.retires_at.map(|at| at.0))
        .bind(token.version)
        .bind(requests)
        .bind(seconds)
        .bind(token.team.as_deref())
        .bind(searched(token))
        .bind(tokens)
        .bind(&token.label)
        .bind(token.owner.as_deref())
        .bind(to_json(&token.providers))
        .bind(to_json(&token.models))
        .bind(token.withdrawn_at.map(|at| at.0))
        .execute(self.connection())
        .await?;
        (done.rows_affected() == 1).then_some(()).ok_or(RegistryError::UnknownToken)
    }

    pub(in crate::registry) async fn delete_token(&mut self, digest: &Digest) -> Result<(), RegistryError> {
        for sql in ["DELETE FROM rate_limits WHERE key = $1", "DELETE FROM tokens WHERE digest = $1"] {
            sqlx::query(sql).bind(digest.to_hex()).execute(self.connection()).await?;
        }
        Ok(())
    }
}

impl TryFrom<Row> for Token {
    type Error = RegistryError;

    fn try_from(row: Row) -> Result<Self, RegistryError> {
        let digest = |hex: &str| Digest::from_hex(hex).ok_or(RegistryError::Corrupt("digest"));
        Ok(Self {
            digest: digest(&row.digest)?,
            label: row.label,
            owner: row.owner,
            team: row.team,
            last4: row.last4,
            providers: from_json(&row.providers)?,
            models: from_json(&row.models)?,
            status: Status::from_name(&row.status).ok_or(RegistryError::Corrupt("status"))?,
            created_at: UnixTime(row.created_at),
            own_expiry: row.expires_at.map(UnixTime),
            rate_limit: join(row.rate_requests, row.rate_tokens, row.rate_per)?,
            certificate: row.certificate.as_deref().map(digest).transpose()?,
            successor: row.successor.as_deref().map(digest).transpose()?,
            retires_at: row.retires_at.map(UnixTime),
            // A replica of an older release, which still runs, adds tokens without one.
            holder: digest(if row.holder.is_empty() { &row.digest } else { &row.holder })?,
            last_used: row.last_used.map(Day),
            version: row.version,
            source: row.source,
            withdrawn_at: row.withdrawn_at.map(UnixTime),
        })
    }
}

/// Returns the text that a search looks into.
fn searched(token: &Token) -> String {
    let (owner, team) = (token.owner.as_deref().unwrap_or(""), token.team.as_deref().unwrap_or(""));
    format!("{} {owner} {team} {} {}", token.label, token.digest.to_hex(), token.last4).to_lowercase()
}

/// Splits a rate limit into its columns: requests, tokens, seconds.
pub(super) fn split(limit: Option<RateLimit>) -> [Option<i64>; 3] {
    let columns = [
        limit.and_then(RateLimit::requests),
        limit.and_then(RateLimit::tokens),
        limit.map(RateLimit::seconds),
    ];
    columns.map(|number| number.map(i64::from))
}

/// Joins the columns to a rate limit.
pub(super) fn join(
    requests: Option<i64>,
    tokens: Option<i64>,
    seconds: Option<i64>,
) -> Result<Option<RateLimit>, RegistryError> {
    let corrupt = || RegistryError::Corrupt("rate limit");
    let number = |value: i64| u32::try_from(value).map_err(|_| corrupt());
    let (requests, tokens) = (requests.map(number).transpose()?, tokens.map(number).transpose()?);
    match (requests.or(tokens), seconds) {
        (None, None) => Ok(None),
        (Some(_), Some(seconds)) => {
            RateLimit::of(requests, tokens, number(seconds)?).map(Some).map_err(|_| corrupt())
        }
        _ => Err(corrupt()),
    }
}
