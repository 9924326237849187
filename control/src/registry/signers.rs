//! Operations on the keys that may sign a policy.
//!
//! An administrator does not decide who signs: through a server only registered keys change the keys of their name, as
//! many as are required. The
//! database is the authority for the first keys of a name that has revisions already, and for lost keys.

use serde_json::json;

use super::handle::{Registry, Result};
use super::proposals::{gather, hold};
use super::record::actor::Actor;
use super::record::error::RegistryError;
use super::record::policy::is_name;
use super::record::proposal::{Progress, ProposalKind};
use super::record::signers::{SignerKeys, Signers, SignersChange};
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

    /// Replaces the keys of a policy's name by a [`SignersChange`] that as many registered keys have signed as are
    /// required. Until then the change is a proposal, in place of another one.
    ///
    /// # Errors
    /// [`RegistryError::NoSigners`] for a name without keys, [`RegistryError::UntrustedSigner`] for another signature or
    /// another name, [`RegistryError::OutdatedSigners`] for a change of another version than the present one.
    pub async fn trust_signed(&self, name: &str, request: &str, actor: &Actor) -> Result<Progress<Signers>> {
        let mut write = self.0.write().await?;
        let present = write.signers(name).await?.ok_or(RegistryError::NoSigners)?;
        let trusted = SignerKeys::of(present.keys)?;
        let kind = ProposalKind::Signers;
        let agreed = gather(&mut write, name, kind, request, &trusted, true).await?;
        let change = SignersChange::read(&agreed.payload, name, present.version)?;
        let keys = SignerKeys::of(change.keys)?;
        let (signed_by, required) = (agreed.signed_by.clone(), trusted.required());
        let missing = required.saturating_sub(signed_by.len());
        let change = if missing == 0 {
            register(&mut write, name, change.version, &keys, actor).await?
        } else {
            hold(&mut write, name, kind, &agreed, missing, actor).await?;
            let detail = json!({"version": change.version, "signed_by": signed_by, "required": required});
            write.audit(actor, "policy.trust_proposed", name, &detail).await?;
            Signers::new(change.version, &keys, actor)
        };
        write.commit().await?;
        Ok(Progress { change, signed_by, required })
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
    let signers = Signers::new(version, keys, actor);
    write.put_signers(name, &signers).await?;
    // What waited for signatures of the keys before has to be proposed anew.
    for kind in [ProposalKind::Signers, ProposalKind::Revision] {
        write.delete_proposal(name, kind).await?;
    }
    let detail = json!({"version": version, "keys": keys.kids(), "required": keys.required()});
    write.audit(actor, "policy.trust", name, &detail).await?;
    Ok(signers)
}
