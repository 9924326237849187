//! Operations on the credentials of the data-plane API.

use keyswap_core::base::Digest;
use serde_json::json;

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::clock::now;
use super::record::credential::{Credential, NewCredential, Role, check_name};
use super::record::error::RegistryError;
use super::record::secret_text::SecretText;
use super::store::seen::Presented;

/// The credentials that one name may have: the present one and its successor.
const MAX_PER_NAME: usize = 2;

impl Registry {
    /// Creates a credential. A name may have two, so that a new one is in use before the old one is revoked.
    pub async fn create_credential(&self, name: &str, role: Role, actor: &Actor) -> Result<NewCredential> {
        check_name(name)?;
        let credential = SecretText::mint_credential()?;
        let record = Credential {
            digest: Digest::of(credential.expose().as_bytes()),
            name: name.to_owned(),
            role,
            created_at: now(),
            last_seen: None,
        };
        let mut write = self.0.write().await?;
        let of_name = write.credentials().await?.into_iter().filter(|other| other.name == name);
        if of_name.count() >= MAX_PER_NAME {
            return Err(RegistryError::TooManyCredentials);
        }
        write.insert_credential(&record).await?;
        let detail = json!({"role": role, "sha256": record.digest.to_hex()});
        write.audit(actor, "credential.create", name, &detail).await?;
        write.commit().await?;
        Ok(NewCredential { credential, record })
    }

    /// Returns all credentials, in the order of their names, older ones first.
    pub async fn credentials(&self) -> Result<Vec<Credential>> {
        self.0.credentials().await
    }

    /// Revokes a credential, which is refused from then on.
    pub async fn revoke_credential(&self, digest: &Digest, actor: &Actor) -> Result<()> {
        let mut write = self.0.write().await?;
        let revoked = write.credentials().await?.into_iter().find(|credential| credential.digest == *digest);
        let revoked = revoked.ok_or(RegistryError::UnknownCredential)?;
        write.revoke(Presented::Credential, digest).await?;
        let detail = json!({"role": revoked.role, "sha256": digest.to_hex()});
        write.audit(actor, "credential.revoke", &revoked.name, &detail).await?;
        write.commit().await
    }

    /// Returns the role of a credential, `None` if it does not exist or was revoked. Notes its use in the background.
    pub async fn role_of(&self, digest: &Digest) -> Result<Option<Role>> {
        let Some(credential) = self.0.credential(digest).await? else { return Ok(None) };
        self.note_use(Presented::Credential, credential.digest, credential.last_seen);
        Ok(Some(credential.role))
    }
}
