//! Pages of users that match a search, newest first.

use sqlx::FromRow;
use sqlx::any::AnyRow;

use super::database::Store;
use crate::registry::record::error::RegistryError;
use crate::registry::record::model::{Listing, Page, Status};

/// The statements that read pages of a table. The table has the columns `search`, `status`, `team` and
/// `ordinal`, its sort key.
pub(super) struct Pages {
    pub(super) rows: &'static str,
    pub(super) count: &'static str,
}

/// Builds the [`Pages`] of a table with these columns. `$owner` is the owner of a row, in lower case.
macro_rules! pages {
    ($table:literal, $owner:literal, $($columns:tt)+) => {
        $crate::registry::store::page::Pages {
            rows: concat!(
                "SELECT ", $($columns)+, " FROM ", $table,
                " WHERE ($1 = '' OR search LIKE $1 ESCAPE '!') AND ($2 = '' OR status = $2) AND ordinal < $3
                  AND ",
                $crate::registry::store::reach::within!("$6", "$7", "team", $owner),
                " ORDER BY ordinal DESC LIMIT $4 OFFSET $5"
            ),
            count: concat!(
                "SELECT count(*) FROM ", $table,
                " WHERE ($1 = '' OR search LIKE $1 ESCAPE '!') AND ($2 = '' OR status = $2) AND ",
                $crate::registry::store::reach::within!("$3", "$4", "team", $owner)
            ),
        }
    };
}
pub(super) use pages;

impl Store {
    /// Reads a page. `place` returns a row's ordinal.
    pub(super) async fn page<Row, T>(
        &self,
        pages: &Pages,
        listing: &Listing,
        place: impl Fn(&Row) -> i64,
    ) -> Result<Page<T>, RegistryError>
    where
        Row: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
        T: TryFrom<Row, Error = RegistryError>,
    {
        let search = containing(listing.search.as_deref());
        let status = listing.status.map_or("", Status::name);
        let rows: Vec<Row> = sqlx::query_as(pages.rows)
            .bind(&search)
            .bind(status)
            .bind(listing.after.unwrap_or(i64::MAX))
            .bind(listing.size_and_one())
            .bind(i64::from(listing.skip))
            .bind(listing.reach.teams())
            .bind(listing.reach.owner())
            .fetch_all(&self.reader)
            .await?;
        let total = sqlx::query_scalar(pages.count)
            .bind(&search)
            .bind(status)
            .bind(listing.reach.teams())
            .bind(listing.reach.owner())
            .fetch_one(&self.reader)
            .await?;
        Page::of(rows, listing, total, place, T::try_from)
    }
}

/// Returns a pattern for `LIKE … ESCAPE '!'` that matches values with `text` in them, an empty pattern for no text.
pub(super) fn containing(text: Option<&str>) -> String {
    let text = text.map(str::trim).unwrap_or_default().to_lowercase();
    if text.is_empty() {
        return String::new();
    }
    let escaped = text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{escaped}%")
}
