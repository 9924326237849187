//! Changes that wait for signatures: of the next revision of a policy, and of the keys that may sign.
//!
//! A registry collects the signatures for one proposal of each kind. Whatever it tells of a proposal is verified: a
//! proposal that no registered key has signed does not exist.

use keyswap_core::identity::jwt::PureRust;
use keyswap_core::services::{Agreed, BUNDLE_TYPE, BundleError, MAX_BUNDLE_BYTES, SignedBundle};

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::clock::now;
use super::record::error::RegistryError;
use super::record::policy::Revision;
use super::record::proposal::{Held, Progress, ProposalKind};
use super::record::signers::{SIGNERS_TYPE, SignerKeys, Signers, SignersChange};
use super::store::write::Write;

/// The room that a proposal leaves for each signature: a protected header with the longest `kid`, and a signature.
const ROOM_BYTES: usize = 2048;

impl Registry {
    /// Returns the text of the revision that waits for signatures.
    pub async fn proposal(&self, name: &str) -> Result<String> {
        let held = self.0.proposal(name, ProposalKind::Revision).await?;
        held.map(|held| held.jws).ok_or(RegistryError::UnknownProposal)
    }

    /// Returns the revision that waits for signatures of these keys.
    pub(super) async fn proposed_revision(
        &self,
        name: &str,
        keys: &SignerKeys,
    ) -> Result<Option<Progress<Revision>>> {
        let Some(held) = self.0.proposal(name, ProposalKind::Revision).await? else { return Ok(None) };
        let signed = SignedBundle::open(held.jws.as_bytes(), name, keys.any(), &PureRust).ok();
        Ok(signed.and_then(|signed| {
            let change = Revision::of(&signed, held.proposed_at, &held.proposed_by).ok()?;
            Some(Progress { change, signed_by: signed.signed_by, required: keys.required() })
        }))
    }

    /// Returns the change of the keys that waits for signatures of the present ones.
    pub(super) async fn proposed_signers(
        &self,
        name: &str,
        present: &Signers,
        keys: &SignerKeys,
    ) -> Result<Option<Progress<Signers>>> {
        let Some(held) = self.0.proposal(name, ProposalKind::Signers).await? else { return Ok(None) };
        let Ok(agreed) = Agreed::verify(held.jws.as_bytes(), SIGNERS_TYPE, keys.any(), &PureRust) else {
            return Ok(None);
        };
        let change = SignersChange::read(&agreed.payload, name, present.version).ok();
        Ok(change.map(|SignersChange { version, keys: proposed, .. }| {
            let (changed_at, changed_by) = (held.proposed_at, held.proposed_by);
            let change = Signers { version, keys: proposed, changed_at, changed_by };
            Progress { change, signed_by: agreed.signed_by, required: keys.required() }
        }))
    }
}

/// Verifies the signatures of a change, and adds those that a proposal of the same content has already. A change that no
/// registered key has signed is an error. `may_be_new` is false for one that is only signed where it waits.
pub(super) async fn gather(
    write: &mut Write,
    name: &str,
    kind: ProposalKind,
    text: &str,
    keys: &SignerKeys,
    may_be_new: bool,
) -> Result<Agreed> {
    let typ = match kind {
        ProposalKind::Revision => BUNDLE_TYPE,
        ProposalKind::Signers => SIGNERS_TYPE,
    };
    let verify = |text: &str| Agreed::verify(text.as_bytes(), typ, keys.any(), &PureRust);
    let signed = verify(text).map_err(|error| match error {
        BundleError::Signature => RegistryError::UntrustedSigner,
        other => RegistryError::InvalidBundle(other.code()),
    })?;
    let held = write.proposal(name, kind).await?.and_then(|held| verify(&held.jws).ok());
    let is_known = held.is_some();
    match held.and_then(|held| held.with(&signed, typ, keys.any(), &PureRust)) {
        Some(both) => Ok(both),
        None if may_be_new => Ok(signed),
        None if is_known => Err(RegistryError::StaleProposal),
        None => Err(RegistryError::UnknownProposal),
    }
}

/// Stores a change that lacks signatures.
pub(super) async fn hold(
    write: &mut Write,
    name: &str,
    kind: ProposalKind,
    agreed: &Agreed,
    missing: usize,
    actor: &Actor,
) -> Result<()> {
    let jws = agreed.jws.to_text();
    if jws.len().saturating_add(missing.saturating_mul(ROOM_BYTES)) > MAX_BUNDLE_BYTES {
        return Err(RegistryError::InvalidBundle("too_long"));
    }
    let held = Held { jws, proposed_at: now(), proposed_by: actor.name().to_owned() };
    write.put_proposal(name, kind, &held).await
}
