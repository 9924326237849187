//! Disabling a leaver: the user, all tokens that the user owns, and all sessions of the user, in one transaction.

use serde_json::json;

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::api_key::ApiKey;
use super::record::change::Subject;
use super::record::clock::now;
use super::record::draft::normal;
use super::record::error::RegistryError;
use super::record::model::{Status, Token, User};
use super::record::reach::Reach;
use super::tokens::status_action;
use super::users::difference;

/// The user and the tokens of an address.
#[derive(Debug, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Offboarded {
    /// The user, `None` if the registry has no user with this address.
    pub user: Option<User>,
    /// The tokens whose owner has this address.
    pub tokens: Vec<Token>,
    /// The names of the API keys that this address has created and that are valid. They stay so: programs use them, and an
    /// administrator revokes them.
    #[serde(default)]
    pub api_keys: Vec<String>,
}

impl Registry {
    /// Returns the user, the tokens and the API keys of an address, ignoring case.
    pub async fn owned_by(&self, email: &str) -> Result<Offboarded> {
        let email = check(email)?;
        let user = known(self.0.user(&email).await)?;
        let api_keys = made_by(self.0.api_keys().await?, &email);
        Ok(Offboarded { user, tokens: self.0.tokens_of(&email).await?, api_keys })
    }

    /// Disables the user and all tokens of an address, ignoring case, and ends its sessions, on devices and in the dashboard. Returns
    /// what was active until now, and the API keys that still are.
    ///
    /// The things of an address may be of any team, so an actor with a part of the registry is refused.
    pub async fn offboard(&self, email: &str, actor: &Actor) -> Result<Offboarded> {
        if *actor.reach() != Reach::All {
            return Err(RegistryError::BeyondRole("administrators disable all of an owner"));
        }
        let email = check(email)?;
        let mut write = self.0.write().await?;
        let mut user = known(write.user(&email).await)?.filter(|user| user.status == Status::Active);
        // A person with a role may have sessions without a user.
        let has_ended = write.end_sessions_of(&email, actor).await?;
        if let Some(user) = &mut user {
            let before = user.clone();
            user.status = Status::Disabled;
            user.version = write.change(Subject::User, &user.email).await?;
            write.update_user(user).await?;
            write.audit(actor, "user.update", &user.email, &difference(&before, user)).await?;
        }
        let mut tokens = write.tokens_of(&email).await?;
        // A token that its source has withdrawn would come back with it.
        tokens.retain(|token| token.status == Status::Active || token.withdrawn_at.is_some());
        for token in &mut tokens {
            token.status = Status::Disabled;
            token.withdrawn_at = None;
            token.version = write.change(Subject::Token, &token.digest.to_hex()).await?;
            write.update_token(token).await?;
            let detail = json!({"label": token.label, "because": "offboard"});
            write.audit(actor, status_action(Status::Disabled), &token.digest.to_hex(), &detail).await?;
        }
        let api_keys = made_by(write.api_keys().await?, &email);
        if user.is_some() || !tokens.is_empty() || has_ended {
            let detail = json!({"tokens": tokens.len(), "user": user.is_some()});
            write.audit(actor, "user.offboard", &email, &detail).await?;
            write.commit().await?;
        }
        Ok(Offboarded { user, tokens, api_keys })
    }
}

/// Returns the names of the valid API keys that an address in lower case has created.
fn made_by(keys: Vec<ApiKey>, email: &str) -> Vec<String> {
    let now = now();
    let is_valid = |key: &ApiKey| key.expires_at > now && normal(&key.created_by) == email;
    keys.into_iter().filter(is_valid).map(|key| key.name).collect()
}

/// Returns an address in lower case. A text that is no address is an error: it could be the beginning of many.
fn check(email: &str) -> Result<String> {
    let email = normal(email);
    let expected = || "expected the whole address of a user or an owner".to_owned();
    keyswap_core::syntax::is_email(&email)
        .then_some(email)
        .ok_or_else(|| RegistryError::Invalid { field: "email address", expected: expected() })
}

fn known(user: Result<User>) -> Result<Option<User>> {
    match user {
        Ok(user) => Ok(Some(user)),
        Err(RegistryError::UnknownUser) => Ok(None),
        Err(error) => Err(error),
    }
}
