//! Pages of tokens and users that match a listing.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, FromRow};

use super::conditions::Conditions;
use super::database::Store;
use crate::registry::record::error::RegistryError;
use crate::registry::record::model::{Listing, Page, Status};

/// A table with the columns `search`, `status`, `team` and `ordinal`, and the order of its pages.
pub(super) struct Table<'t> {
    pub(super) name: &'static str,
    pub(super) columns: &'static str,
    /// The owner of a row, in lower case.
    pub(super) owner: &'static str,
    pub(super) order: &'t str,
}

impl Store {
    /// Reads a page of the rows that match a listing and more `conditions`. `place` returns a row's ordinal.
    pub(super) async fn page<Row, T>(
        &self,
        table: &Table<'_>,
        mut conditions: Conditions,
        listing: &Listing,
        place: impl Fn(&Row) -> i64,
    ) -> Result<Page<T>, RegistryError>
    where
        Row: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
        T: TryFrom<Row, Error = RegistryError>,
    {
        let Table { name, columns, owner, order } = table;
        conditions.with_text("search LIKE ? ESCAPE '!'", listing.search.as_deref().and_then(containing));
        conditions.with_text("status = ?", listing.status.map(Status::name).map(str::to_owned));
        conditions.within(&listing.reach, "team", owner);
        let sql = format!("SELECT count(*) FROM {name} WHERE {}", conditions.sql());
        let count = sqlx::query_scalar_with::<Any, i64, _>(AssertSqlSafe(sql), conditions.arguments()?);
        let total = count.fetch_one(&self.reports).await?;
        conditions.with_number("ordinal < ?", listing.after.unwrap_or(i64::MAX));
        let [limit, skip] =
            [listing.size_and_one(), i64::from(listing.skip)].map(|number| conditions.number(number));
        let sql = format!(
            "SELECT {columns} FROM {name} WHERE {} ORDER BY {order} LIMIT {limit} OFFSET {skip}",
            conditions.sql()
        );
        let rows = sqlx::query_as_with::<Any, Row, _>(AssertSqlSafe(sql), conditions.arguments()?);
        Page::of(rows.fetch_all(&self.reports).await?, listing, total, place, T::try_from)
    }
}

/// Returns a pattern for `LIKE … ESCAPE '!'` that matches values with `text` in them, `None` for no text.
pub(super) fn containing(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let escaped = text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    (!text.is_empty()).then(|| format!("%{escaped}%"))
}
