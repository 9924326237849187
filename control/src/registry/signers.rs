//! Operations on the keys that may sign a policy.
//!
//! An administrator does not decide who signs: through a server only a registered key changes the keys of its name. The
//! database is the authority for the first keys of a name that has revisions already, and for lost keys.

use keyswap_core::identity::jwt::PureRust;
use keyswap_core::services::{BundleError, verified_payload};
use serde_json::json;

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::clock::now;
use super::record::error::RegistryError;
use super::record::policy::is_name;
use super::record::signers::{SIGNERS_TYPE, SignerKeys, Signers, SignersChange};
use super::store::write::Write;

impl Registry {
    /// Registers the keys of a policy's name, in place of those that it has. For the owner of the database only.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for an invalid name.
    pub async fn trust(&self, name: &str, keys: &SignerKeys, actor: &Actor) -> Result<Signers> {
        if !is_name(name) {
            let expected = "expected 1 to 64 letters, digits, `-` or `_`".to_owned();
            return Err(RegistryError::Invalid { field: "name", expected });
        }
        let mut write = self.0.write().await?;
        let version = write.signers(name).await?.map_or(1, |signers| signers.version + 1);
        let signers = register(&mut write, name, version, keys, actor).await?;
        write.commit().await?;
        Ok(signers)
    }

    /// Replaces the keys of a policy's name by a [`SignersChange`] that a registered key has signed.
    ///
    /// # Errors
    /// [`RegistryError::NoSigners`] for a name without keys, [`RegistryError::UntrustedSigner`] for another signature or
    /// another name, [`RegistryError::OutdatedSigners`] for a change of another version than the present one.
    pub async fn trust_signed(&self, name: &str, request: &str, actor: &Actor) -> Result<Signers> {
        let mut write = self.0.write().await?;
        let present = write.signers(name).await?.ok_or(RegistryError::NoSigners)?;
        let trusted = SignerKeys::of(present.keys)?;
        let payload = verified_payload(request.as_bytes(), SIGNERS_TYPE, trusted.set(), &PureRust);
        let payload = payload.map_err(|error| match error {
            BundleError::Signature => RegistryError::UntrustedSigner,
            other => RegistryError::InvalidBundle(other.code()),
        })?;
        let change: SignersChange =
            serde_json::from_slice(&payload).map_err(|_| RegistryError::InvalidBundle("malformed"))?;
        if change.name != name {
            return Err(RegistryError::UntrustedSigner);
        }
        if change.version != present.version + 1 {
            return Err(RegistryError::OutdatedSigners);
        }
        let keys = SignerKeys::of(change.keys)?;
        let signers = register(&mut write, name, change.version, &keys, actor).await?;
        write.commit().await?;
        Ok(signers)
    }
}

/// Stores the keys of a name, with an entry in the audit log.
pub(super) async fn register(
    write: &mut Write,
    name: &str,
    version: i64,
    keys: &SignerKeys,
    actor: &Actor,
) -> Result<Signers> {
    let signers = Signers {
        version,
        keys: keys.document().clone(),
        changed_at: now(),
        changed_by: actor.name().to_owned(),
    };
    write.put_signers(name, &signers).await?;
    let detail = json!({"version": version, "keys": keys.kids()});
    write.audit(actor, "policy.trust", name, &detail).await?;
    Ok(signers)
}
