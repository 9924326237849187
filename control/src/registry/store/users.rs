//! The users' rows.

use keyswap_core::base::UnixTime;
use sqlx::Any;

use super::conditions::Conditions;
use super::database::Store;
use super::names::{from_json, to_json};
use super::page::Table;
use super::tokens::{join, split};
use super::write::Write;
use crate::registry::record::error::RegistryError;
use crate::registry::record::model::{Listing, Page, Status, User};

macro_rules! columns {
    () => {
        "email, ordinal, label, team, providers, models, status, created_at, rate_requests, rate_tokens, \
         rate_per, version"
    };
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM users WHERE email = $1");

const TABLE: Table<'_> = Table { name: "users", columns: columns!(), owner: "email", order: "ordinal DESC" };

#[derive(sqlx::FromRow)]
struct Row {
    email: String,
    ordinal: i64,
    label: Option<String>,
    team: Option<String>,
    providers: String,
    models: String,
    status: String,
    created_at: i64,
    rate_requests: Option<i64>,
    rate_tokens: Option<i64>,
    rate_per: Option<i64>,
    version: i64,
}

impl Store {
    pub(in crate::registry) async fn user(&self, email: &str) -> Result<User, RegistryError> {
        let row: Option<Row> = sqlx::query_as(FIND).bind(email).fetch_optional(&self.reader).await?;
        row.ok_or(RegistryError::UnknownUser)?.try_into()
    }

    pub(in crate::registry) async fn user_page(
        &self,
        listing: &Listing,
    ) -> Result<Page<User>, RegistryError> {
        self.page(&TABLE, Conditions::default(), listing, |row: &Row| row.ordinal).await
    }
}

impl Write {
    pub(in crate::registry) async fn user(&mut self, email: &str) -> Result<User, RegistryError> {
        let row: Option<Row> = sqlx::query_as(FIND).bind(email).fetch_optional(self.connection()).await?;
        row.ok_or(RegistryError::UnknownUser)?.try_into()
    }

    /// Adds a user, an error if the user exists.
    pub(in crate::registry) async fn insert_user(&mut self, user: &User) -> Result<(), RegistryError> {
        let [requests, tokens, seconds] = split(user.rate_limit);
        let done = sqlx::query::<Any>(
            "INSERT INTO users (email, ordinal, label, providers, models, status, created_at, rate_requests,
                 rate_per, version, search, team, rate_tokens)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $2, $10, $11, $12)
             ON CONFLICT (email) DO NOTHING",
        )
        .bind(&user.email)
        .bind(user.version)
        .bind(user.label.as_deref())
        .bind(to_json(&user.providers))
        .bind(to_json(&user.models))
        .bind(user.status.name())
        .bind(user.created_at.0)
        .bind(requests)
        .bind(seconds)
        .bind(searched(user))
        .bind(user.team.as_deref())
        .bind(tokens)
        .execute(self.connection())
        .await?;
        (done.rows_affected() == 1).then_some(()).ok_or(RegistryError::DuplicateUser)
    }

    /// Updates the changeable columns of a user.
    pub(in crate::registry) async fn update_user(&mut self, user: &User) -> Result<(), RegistryError> {
        let [requests, tokens, seconds] = split(user.rate_limit);
        let done = sqlx::query::<Any>(
            "UPDATE users SET label = $2, providers = $3, models = $4, status = $5, rate_requests = $6,
                 rate_per = $7, version = $8, search = $9, team = $10, rate_tokens = $11
             WHERE email = $1",
        )
        .bind(&user.email)
        .bind(user.label.as_deref())
        .bind(to_json(&user.providers))
        .bind(to_json(&user.models))
        .bind(user.status.name())
        .bind(requests)
        .bind(seconds)
        .bind(user.version)
        .bind(searched(user))
        .bind(user.team.as_deref())
        .bind(tokens)
        .execute(self.connection())
        .await?;
        (done.rows_affected() == 1).then_some(()).ok_or(RegistryError::UnknownUser)
    }

    /// Sets the version of a user whose sessions changed, if the user is there.
    pub(in crate::registry) async fn set_user_version(
        &mut self,
        email: &str,
        version: i64,
    ) -> Result<(), RegistryError> {
        sqlx::query("UPDATE users SET version = $2 WHERE email = $1")
            .bind(email)
            .bind(version)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    pub(in crate::registry) async fn delete_user(&mut self, email: &str) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM users WHERE email = $1").bind(email).execute(self.connection()).await?;
        Ok(())
    }
}

fn searched(user: &User) -> String {
    let (label, team) = (user.label.as_deref().unwrap_or(""), user.team.as_deref().unwrap_or(""));
    format!("{label} {} {team}", user.email).to_lowercase()
}

impl TryFrom<Row> for User {
    type Error = RegistryError;

    fn try_from(row: Row) -> Result<Self, RegistryError> {
        Ok(Self {
            email: row.email,
            label: row.label,
            team: row.team,
            status: Status::from_name(&row.status).ok_or(RegistryError::Corrupt("status"))?,
            providers: from_json(&row.providers)?,
            models: from_json(&row.models)?,
            created_at: UnixTime(row.created_at),
            rate_limit: join(row.rate_requests, row.rate_tokens, row.rate_per)?,
            version: row.version,
        })
    }
}
