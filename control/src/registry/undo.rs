//! Undoing a change of a token or a user, by its entry in the audit log.
//!
//! The entry gives the values, and nothing of the request does. A change is undone only while what it set is still in
//! place: otherwise a later change would be lost. An undo has the rights of its actor: it is the same change by hand.

use keyswap_core::base::Digest;
use serde_json::Value;

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::draft::{TokenPatch, UserPatch, normal};
use super::record::error::RegistryError;
use super::record::model::{AuditEntry, Status, Token, User};
use super::tokens::{field, status_action};
use super::users::described;

impl AuditEntry {
    /// Returns true if the entry is about a change that can be undone.
    pub fn is_undoable(&self) -> bool {
        match self.action.as_str() {
            "user.update" => user_patch(&self.detail).is_some(),
            action => token_patch(action, &self.detail).is_some(),
        }
    }
}

impl Registry {
    /// Undoes the change of a token that an entry of the audit log is about.
    pub async fn undo_token(&self, digest: &Digest, entry: i64, actor: &Actor) -> Result<Token> {
        let token = self.token(digest).await?;
        if !actor.reach().has(token.owner.as_deref(), token.team.as_deref()) {
            return Err(RegistryError::UnknownToken);
        }
        let entry = self.entry_of(&digest.to_hex(), entry).await?;
        let patch = token_patch(&entry.action, &entry.detail).ok_or(RegistryError::NotUndoable)?;
        let is_in_place = match patch.status {
            Some(_) => entry.action == status_action(token.status),
            None => entry.detail.get("to") == Some(&field(&token, &entry.action)),
        };
        if !is_in_place {
            return Err(RegistryError::ChangedMeanwhile);
        }
        self.update_token(digest, TokenPatch { version: Some(token.version), ..patch }, actor).await
    }

    /// Undoes the change of a user that an entry of the audit log is about.
    pub async fn undo_user(&self, email: &str, entry: i64, actor: &Actor) -> Result<User> {
        let email = normal(email);
        let user = self.user(&email).await?;
        if !actor.reach().has(Some(&user.email), user.team.as_deref()) {
            return Err(RegistryError::UnknownUser);
        }
        let entry = self.entry_of(&email, entry).await?;
        if entry.action != "user.update" {
            return Err(RegistryError::NotUndoable);
        }
        let patch = user_patch(&entry.detail).ok_or(RegistryError::NotUndoable)?;
        let present = described(&user);
        let set = entry.detail.get("to").and_then(Value::as_object);
        if set.is_none_or(|set| set.iter().any(|(name, value)| present.get(name) != Some(value))) {
            return Err(RegistryError::ChangedMeanwhile);
        }
        self.update_user(&email, UserPatch { version: Some(user.version), ..patch }, actor).await
    }

    /// Returns an entry about this subject.
    async fn entry_of(&self, subject: &str, id: i64) -> Result<AuditEntry> {
        let entry = self.0.audit_entry(id).await?.filter(|entry| entry.subject == subject);
        entry.ok_or(RegistryError::NotUndoable)
    }
}

/// Returns the patch that undoes a change of a token, `None` for entries that are no such change.
fn token_patch(action: &str, detail: &Value) -> Option<TokenPatch> {
    let mut patch = TokenPatch::default();
    if action == status_action(Status::Active) {
        patch.status = Some(Status::Disabled);
        return Some(patch);
    }
    if action == status_action(Status::Disabled) {
        patch.status = Some(Status::Active);
        return Some(patch);
    }
    let from = detail.get("from")?.clone();
    match action {
        "token.set_label" => patch.label = Some(read(from)?),
        "token.set_owner" => patch.owner = Some(read(from)?),
        "token.set_team" => patch.team = Some(read(from)?),
        "token.set_providers" => patch.providers = Some(read(from)?),
        "token.set_models" => patch.models = Some(read(from)?),
        "token.set_expiry" => patch.expires_at = Some(read(from)?),
        "token.set_rate_limit" => patch.rate_limit = Some(read(from)?),
        _ => return None,
    }
    Some(patch)
}

/// Returns the patch that undoes a change of a user. Entries of older releases do not say what was before.
fn user_patch(detail: &Value) -> Option<UserPatch> {
    let mut patch = UserPatch::default();
    for (name, from) in detail.get("from")?.as_object()? {
        let from = from.clone();
        match name.as_str() {
            "label" => patch.label = Some(read::<Option<String>>(from)?.unwrap_or_default()),
            "team" => patch.team = Some(read(from)?),
            "status" => patch.status = Some(read(from)?),
            "providers" => patch.providers = Some(read(from)?),
            "models" => patch.models = Some(read(from)?),
            "rate_limit" => patch.rate_limit = Some(read(from)?),
            _ => return None,
        }
    }
    Some(patch)
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}
