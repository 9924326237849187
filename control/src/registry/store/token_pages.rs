//! Pages of the list of tokens, in any order, and the tokens of an owner.

use keyswap_core::base::UnixTime;
use sqlx::AssertSqlSafe;

use super::conditions::Conditions;
use super::database::Store;
use super::page::{Table, containing};
use super::tokens::{COLUMNS, Row};
use super::write::Write;
use crate::registry::record::day::Day;
use crate::registry::record::error::RegistryError;
use crate::registry::record::model::{Listing, Page, Token};
use crate::registry::record::selection::{Attention, EXPIRING_DAYS, Order, UNUSED_DAYS};

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

/// Returns the conditions of tokens that need attention: they work, and no owner, no use or no successor is known.
fn attention(listing: &Listing, now: UnixTime) -> Conditions {
    let mut conditions = Conditions::default();
    let Some(attention) = listing.attention else { return conditions };
    let days = |days: i64| days.saturating_mul(SECONDS_OF_DAY);
    conditions.with_sql("status = 'active'");
    for column in ["expires_at", "retires_at"] {
        conditions.with_number(&format!("({column} IS NULL OR {column} > ?)"), now.0);
    }
    match attention {
        Attention::Expiring => {
            conditions.with_sql("successor IS NULL");
            conditions.with_number("expires_at <= ?", now.0.saturating_add(days(EXPIRING_DAYS)));
        }
        Attention::Unused => {
            conditions.with_number("created_at < ?", now.0.saturating_sub(days(UNUSED_DAYS)));
            let day = Day::of(now).0.saturating_sub(UNUSED_DAYS);
            conditions.with_number("(last_used IS NULL OR last_used < ?)", day);
        }
        Attention::Unowned => conditions.with_sql("owner IS NULL"),
    }
    conditions
}

impl Store {
    pub(in crate::registry) async fn token_page(
        &self,
        listing: &Listing,
        now: UnixTime,
    ) -> Result<Page<Token>, RegistryError> {
        let order = listing.order.terms();
        let table = Table { name: "tokens", columns: COLUMNS, owner: "lower(owner)", order };
        self.page(&table, attention(listing, now), listing, |row: &Row| row.ordinal).await
    }

    /// Returns the tokens of an owner, whose address is in lower case, newest first.
    pub(in crate::registry) async fn tokens_of(&self, owner: &str) -> Result<Vec<Token>, RegistryError> {
        let mut connection = self.reports.acquire().await?;
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
        sqlx::query_as(AssertSqlSafe(sql)).bind(containing(owner)).fetch_all(connection).await?;
    let all = rows.into_iter().map(Token::try_from).collect::<Result<Vec<_>, _>>()?;
    let is_owned = |token: &Token| token.owner.as_ref().is_some_and(|of| of.to_lowercase() == owner);
    Ok(all.into_iter().filter(is_owned).collect())
}
