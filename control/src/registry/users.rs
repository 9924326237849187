//! Operations on users. A user signs in at an identity provider and is identified by an email address.

use serde_json::{Value, json};

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::change::Subject;
use super::record::clock::now;
use super::record::draft::{NewUser, UserPatch, normal};
use super::record::error::RegistryError;
use super::record::model::{Listing, Page, Status, User};
use super::rights::{check_move, check_status};

impl Registry {
    /// Adds a user to the registry.
    pub async fn create_user(&self, new: NewUser, actor: &Actor) -> Result<User> {
        let mut write = self.0.write().await?;
        let valid = write.user_by(actor, new).await?;
        let user = User {
            version: write.change(Subject::User, &valid.email).await?,
            email: valid.email,
            label: valid.label,
            team: valid.team,
            status: Status::Active,
            providers: valid.providers,
            models: valid.models,
            created_at: now(),
            rate_limit: valid.rate_limit,
        };
        write.insert_user(&user).await?;
        write.audit(actor, "user.create", &user.email, &described(&user)).await?;
        write.commit().await?;
        Ok(user)
    }

    /// Returns a user by the email address, ignoring case.
    pub async fn user(&self, email: &str) -> Result<User> {
        self.0.user(&normal(email)).await
    }

    /// Returns a part of the list of users.
    pub async fn users(&self, listing: &Listing) -> Result<Page<User>> {
        self.0.user_page(listing).await
    }

    /// Applies a patch to a user. A patch without a difference makes no entry in the audit log. A disabled user has no sessions, on
    /// devices or in the dashboard.
    pub async fn update_user(&self, email: &str, patch: UserPatch, actor: &Actor) -> Result<User> {
        let mut write = self.0.write().await?;
        let before = write.user_of(&normal(email), actor).await?;
        check_move(patch.team.as_ref(), actor)?;
        if patch.version.is_some_and(|version| version != before.version) {
            return Err(RegistryError::ChangedMeanwhile);
        }
        let mut user = patched(&before, patch)?;
        if user == before {
            return Ok(user);
        }
        if user.status != before.status {
            check_status(&before, actor)?;
        }
        user.version = write.change(Subject::User, &user.email).await?;
        write.update_user(&user).await?;
        if user.status == Status::Disabled {
            write.end_sessions_of(&user.email, actor).await?;
        }
        write.audit(actor, "user.update", &user.email, &difference(&before, &user)).await?;
        write.commit().await?;
        Ok(user)
    }

    /// Deletes a user from the registry, and ends its sessions, on devices and in the dashboard.
    pub async fn delete_user(&self, email: &str, actor: &Actor) -> Result<()> {
        let mut write = self.0.write().await?;
        let user = write.user_of(&normal(email), actor).await?;
        check_status(&user, actor)?;
        write.delete_user(&user.email).await?;
        write.end_sessions_of(&user.email, actor).await?;
        write.change(Subject::User, &user.email).await?;
        write.audit(actor, "user.delete", &user.email, &described(&user)).await?;
        write.commit().await
    }
}

/// Returns the patched user, validated like a new one.
fn patched(before: &User, patch: UserPatch) -> Result<User> {
    let valid = NewUser {
        email: before.email.clone(),
        label: patch.label.or_else(|| before.label.clone()),
        team: patch.team.unwrap_or_else(|| before.team.clone()),
        providers: patch.providers.unwrap_or_else(|| before.providers.clone()),
        models: patch.models.unwrap_or_else(|| before.models.clone()),
        rate_limit: patch.rate_limit.unwrap_or(before.rate_limit),
    }
    .check()?;
    Ok(User {
        email: valid.email,
        label: valid.label,
        team: valid.team,
        status: patch.status.unwrap_or(before.status),
        providers: valid.providers,
        models: valid.models,
        created_at: before.created_at,
        rate_limit: valid.rate_limit,
        version: before.version,
    })
}

/// Returns the changed fields of a user, before and after the change.
pub(super) fn difference(before: &User, after: &User) -> Value {
    let (mut from, mut to) = (described(before), described(after));
    if let (Some(old), Some(new)) = (from.as_object_mut(), to.as_object_mut()) {
        let same: Vec<String> = old
            .iter()
            .filter(|(name, value)| new.get(*name) == Some(value))
            .map(|(name, _)| name.clone())
            .collect();
        for name in same {
            old.remove(&name);
            new.remove(&name);
        }
    }
    json!({"from": from, "to": to})
}

pub(super) fn described(user: &User) -> Value {
    json!({
        "label": user.label,
        "team": user.team,
        "status": user.status,
        "providers": user.providers,
        "models": user.models,
        "rate_limit": user.rate_limit,
    })
}
