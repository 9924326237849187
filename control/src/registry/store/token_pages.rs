//! Pages of the list of tokens, in any order, and the tokens of an owner.

use keyswap_core::base::UnixTime;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyArguments;
use sqlx::query::{QueryAs, QueryScalar};

use super::database::Store;
use super::page::containing;
use super::reach::within;
use super::tokens::{COLUMNS, Row};
use super::write::Write;
use crate::registry::record::day::Day;
use crate::registry::record::error::RegistryError;
use crate::registry::record::model::{Listing, Page, Status, Token};
use crate::registry::record::selection::{Attention, EXPIRING_DAYS, Order, UNUSED_DAYS};

/// The condition of a listing. The parameters are: search, status, attention, now, the end of the time in which tokens
/// count as expiring, the time and the day before which tokens count as unused, the teams and the owner in reach.
const MATCHES: &str = concat!(
    "($1 = '' OR search LIKE $1 ESCAPE '!') AND ($2 = '' OR status = $2)
    AND ($3 = '' OR (status = 'active'
        AND (expires_at IS NULL OR expires_at > $4) AND (retires_at IS NULL OR retires_at > $4)
        AND (($3 = 'expiring' AND successor IS NULL AND expires_at <= $5)
          OR ($3 = 'unused' AND created_at < $6 AND (last_used IS NULL OR last_used < $7))
          OR ($3 = 'unowned' AND owner IS NULL)))) AND ",
    within!("$8", "$9", "team", "lower(owner)")
);

const SECONDS_OF_DAY: i64 = 86_400;

impl Order {
    /// Returns the terms that sort tokens. The largest number stands for no expiry.
    fn terms(self) -> &'static str {
        match self {
            Self::Newest => "ordinal DESC",
            Self::Label => "lower(label), ordinal DESC",
            Self::Owner => "CASE WHEN owner IS NULL THEN 1 ELSE 0 END, lower(owner), ordinal DESC",
            Self::Expiry => {
                "COALESCE(CASE WHEN expires_at IS NULL THEN retires_at
                               WHEN retires_at IS NULL OR expires_at < retires_at THEN expires_at
                               ELSE retires_at END, 9223372036854775807), ordinal DESC"
            }
            Self::LastUsed => "COALESCE(last_used, -1), ordinal DESC",
        }
    }
}

/// The parameters of [`MATCHES`].
struct Parameters {
    search: String,
    status: &'static str,
    attention: &'static str,
    times: [i64; 4],
}

impl Parameters {
    fn of(listing: &Listing, now: UnixTime) -> Self {
        let days = |days: i64| days.saturating_mul(SECONDS_OF_DAY);
        Self {
            search: containing(listing.search.as_deref()),
            status: listing.status.map_or("", Status::name),
            attention: listing.attention.map_or("", Attention::name),
            times: [
                now.0,
                now.0.saturating_add(days(EXPIRING_DAYS)),
                now.0.saturating_sub(days(UNUSED_DAYS)),
                Day::of(now).0.saturating_sub(UNUSED_DAYS),
            ],
        }
    }
}

impl Store {
    pub(in crate::registry) async fn token_page(
        &self,
        listing: &Listing,
        now: UnixTime,
    ) -> Result<Page<Token>, RegistryError> {
        let Parameters { search, status, attention, times } = Parameters::of(listing, now);
        let sql = format!(
            "SELECT {COLUMNS} FROM tokens WHERE {MATCHES} AND ordinal < $10 ORDER BY {} LIMIT $11 OFFSET $12",
            listing.order.terms()
        );
        let query: QueryAs<'_, _, Row, AnyArguments> = sqlx::query_as(AssertSqlSafe(sql));
        let query = query.bind(&search).bind(status).bind(attention);
        let rows: Vec<Row> = times
            .into_iter()
            .fold(query, QueryAs::bind)
            .bind(listing.reach.teams())
            .bind(listing.reach.owner())
            .bind(listing.after.unwrap_or(i64::MAX))
            .bind(listing.size_and_one())
            .bind(i64::from(listing.skip))
            .fetch_all(&self.reader)
            .await?;
        let sql = format!("SELECT count(*) FROM tokens WHERE {MATCHES}");
        let query: QueryScalar<'_, _, i64, AnyArguments> = sqlx::query_scalar(AssertSqlSafe(sql));
        let query = query.bind(&search).bind(status).bind(attention);
        let total = times
            .into_iter()
            .fold(query, QueryScalar::bind)
            .bind(listing.reach.teams())
            .bind(listing.reach.owner())
            .fetch_one(&self.reader)
            .await?;
        Page::of(rows, listing, total, |row| row.ordinal, Token::try_from)
    }

    /// Returns the tokens of an owner, whose address is in lower case, newest first.
    pub(in crate::registry) async fn tokens_of(&self, owner: &str) -> Result<Vec<Token>, RegistryError> {
        let mut connection = self.reader.acquire().await?;
        tokens_of(&mut connection, owner).await
    }
}

impl Write {
    /// Returns the tokens of an owner, whose address is in lower case, newest first.
    pub(in crate::registry) async fn tokens_of(&mut self, owner: &str) -> Result<Vec<Token>, RegistryError> {
        tokens_of(self.connection(), owner).await
    }
}

/// Returns the tokens of an owner. The database narrows the search; the addresses are compared here, since databases
/// differ in the lower case of letters that are not ASCII.
async fn tokens_of(connection: &mut sqlx::AnyConnection, owner: &str) -> Result<Vec<Token>, RegistryError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM tokens WHERE owner IS NOT NULL AND search LIKE $1 ESCAPE '!' ORDER BY ordinal DESC"
    );
    let rows: Vec<Row> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(containing(Some(owner))).fetch_all(connection).await?;
    let all = rows.into_iter().map(Token::try_from).collect::<Result<Vec<_>, _>>()?;
    let is_owned = |token: &Token| token.owner.as_ref().is_some_and(|of| of.to_lowercase() == owner);
    Ok(all.into_iter().filter(is_owned).collect())
}
