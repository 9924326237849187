//! Operations on the API keys of programs that use the administration.

use keyswap_core::base::{Digest, UnixTime};
use serde_json::json;

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::admin_role::AdminRole;
use super::record::api_key::{ApiKey, NewApiKey};
use super::record::clock::now;
use super::record::credential::check_name;
use super::record::error::RegistryError;
use super::record::secret_text::SecretText;
use super::store::seen::Presented;

/// The lifetime of a key whose expiry is left out.
const DEFAULT_LIFETIME_SECONDS: i64 = 90 * 86_400;

/// The longest lifetime of a key: one year. A key that is forgotten ends by itself.
const MAX_LIFETIME_SECONDS: i64 = 366 * 86_400;

impl Registry {
    /// Creates an API key, valid for 90 days if `expires_at` is `None`, else at most 366 days. An expired key of the same name
    /// is replaced.
    pub async fn create_api_key(
        &self,
        name: &str,
        role: AdminRole,
        expires_at: Option<UnixTime>,
        actor: &Actor,
    ) -> Result<NewApiKey> {
        check_name(name)?;
        let now = now();
        let expires_at = expires_at.unwrap_or(UnixTime(now.0.saturating_add(DEFAULT_LIFETIME_SECONDS)));
        if expires_at <= now || expires_at.0 > now.0.saturating_add(MAX_LIFETIME_SECONDS) {
            let expected = "expected a time in the future, at most 366 days from now".to_owned();
            return Err(RegistryError::Invalid { field: "expires_at", expected });
        }
        let key = SecretText::mint_api_key()?;
        let record = ApiKey {
            digest: Digest::of(key.expose().as_bytes()),
            name: name.to_owned(),
            role,
            created_at: now,
            created_by: actor.to_string(),
            expires_at,
            last_seen: None,
        };
        let mut write = self.0.write().await?;
        write.insert_api_key(&record).await?;
        let detail = json!({
            "role": record.role,
            "sha256": record.digest.to_hex(),
            "expires_at": expires_at.to_string(),
        });
        write.audit(actor, "api_key.create", name, &detail).await?;
        write.commit().await?;
        Ok(NewApiKey { key, record })
    }

    /// Returns all API keys, also expired ones, in the order of their names.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>> {
        self.0.api_keys().await
    }

    /// Returns an API key by its digest, also an expired one.
    pub async fn api_key(&self, digest: &Digest) -> Result<ApiKey> {
        self.0.api_key(digest).await?.ok_or(RegistryError::UnknownApiKey)
    }

    /// Revokes an API key, which is refused from then on.
    pub async fn revoke_api_key(&self, digest: &Digest, actor: &Actor) -> Result<()> {
        let mut write = self.0.write().await?;
        let revoked = write.api_key(digest).await?.ok_or(RegistryError::UnknownApiKey)?;
        write.revoke(Presented::ApiKey, digest).await?;
        let detail = json!({"role": revoked.role, "sha256": digest.to_hex()});
        write.audit(actor, "api_key.revoke", &revoked.name, &detail).await?;
        write.commit().await
    }

    /// Returns an API key by its digest, `None` if it does not exist, was revoked or has expired. Notes its use in the
    /// background.
    pub async fn valid_api_key(&self, digest: &Digest) -> Result<Option<ApiKey>> {
        let now = now();
        let Some(key) = self.0.api_key(digest).await?.filter(|key| key.expires_at > now) else {
            return Ok(None);
        };
        self.note_use(Presented::ApiKey, key.digest, key.last_seen);
        Ok(Some(key))
    }
}
