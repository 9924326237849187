//! Operations on policies and on the reports of data planes that run them. Revisions are signed, immutable, and have
//! ascending numbers.
//!
//! Data planes have public keys of their own and verify the signature. So does the registry, with the keys of the name:
//! keys of the name sign each revision, and with it the number and the digest of the revision before. A revision that
//! too few keys of the name signed can only come from another writer of the database; the next signed one discards it.

use keyswap_core::base::Digest;
use keyswap_core::services::{Agreed, MAX_BUNDLE_BYTES, SignedBundle};
use serde_json::json;

use super::handle::{Registry, Result};
use super::proposals::{gather, hold};
use super::record::actor::Actor;
use super::record::clock::now;
use super::record::error::RegistryError;
use super::record::policy::{Plane, PolicyStatus, Report, Revision, is_name};
use super::record::proposal::{Progress, ProposalKind};
use super::record::signers::SignerKeys;
use super::signers::register;
use super::store::write::Write;

/// The interval in which an unchanged report of a data plane is stored again.
const REPEAT_INTERVAL_SECONDS: i64 = 15;
/// The longest name of a data plane, and the longest text of a problem that it reports.
const MAX_TEXT_CHARS: usize = 300;
/// The largest number of revisions in a policy's status.
const MAX_LISTED_REVISIONS: i64 = 50;
/// The greatest distance of a revision from the one before. It leaves room for numbers that a restored registry has lost,
/// and for many such steps below [`keyswap_core::services::MAX_REVISION`].
const MAX_STEP: u64 = 1_000_000;
/// The largest number of discarded revisions in an entry of the audit log.
const MAX_AUDITED: usize = 50;

impl Registry {
    /// Publishes a signed policy. It is in force once as many registered keys have signed it as are required; until then it
    /// is a proposal, in place of another one. The first bundle of a name registers `keys` as the keys of that name, if it
    /// has none.
    ///
    /// # Errors
    /// [`RegistryError::InvalidBundle`] for a bundle that is malformed or whose policy is invalid,
    /// [`RegistryError::NoSigners`] and [`RegistryError::UntrustedSigner`] for a signature that cannot be trusted,
    /// [`RegistryError::StaleRevision`] for a bundle that does not follow the newest signed revision.
    pub async fn publish(
        &self,
        bundle: &str,
        keys: Option<&SignerKeys>,
        actor: &Actor,
    ) -> Result<Progress<Revision>> {
        if bundle.len() > MAX_BUNDLE_BYTES {
            return Err(RegistryError::InvalidBundle("too_long"));
        }
        let name = SignedBundle::claimed_name(bundle.as_bytes())
            .map_err(|fault| RegistryError::InvalidBundle(fault.code()))?;
        if !is_name(&name) {
            return Err(RegistryError::InvalidBundle("invalid_name"));
        }
        let mut write = self.0.write().await?;
        let keys = keys_of(&mut write, &name, keys, actor).await?;
        let agreed = gather(&mut write, &name, ProposalKind::Revision, bundle, &keys, true).await?;
        let published = settle(&mut write, &name, agreed, &keys, actor).await?;
        write.commit().await?;
        Ok(published)
    }

    /// Adds a signature to the revision that waits for signatures, and publishes it when that was the last one.
    ///
    /// # Errors
    /// Those of [`Registry::publish`]; [`RegistryError::UnknownProposal`] if no revision waits for signatures,
    /// [`RegistryError::StaleProposal`] if another one does.
    pub async fn sign(&self, name: &str, bundle: &str, actor: &Actor) -> Result<Progress<Revision>> {
        let mut write = self.0.write().await?;
        let keys = write.signers(name).await?.ok_or(RegistryError::NoSigners)?;
        let keys = SignerKeys::of(keys.keys)?;
        let agreed = gather(&mut write, name, ProposalKind::Revision, bundle, &keys, false).await?;
        let signed = settle(&mut write, name, agreed, &keys, actor).await?;
        write.commit().await?;
        Ok(signed)
    }

    /// Returns the newest revision of every policy, in the order of their names.
    pub async fn policies(&self) -> Result<Vec<Revision>> {
        self.0.newest_revisions().await
    }

    /// Returns a policy's newest revisions, at most 50, the data planes that run it, and the keys that may sign it.
    pub async fn policy(&self, name: &str) -> Result<PolicyStatus> {
        let revisions = self.0.revisions(name, MAX_LISTED_REVISIONS).await?;
        let signers = self.0.signers(name).await?;
        if revisions.is_empty() && signers.is_none() {
            return Err(RegistryError::UnknownPolicy);
        }
        let planes = self.0.planes(name).await?;
        let (mut proposal, mut proposed_signers) = (None, None);
        if let Some(present) = &signers {
            let keys = SignerKeys::of(present.keys.clone())?;
            proposal = self.proposed_revision(name, &keys).await?;
            proposed_signers = self.proposed_signers(name, present, &keys).await?;
        }
        Ok(PolicyStatus { revisions, planes, signers, proposal, proposed_signers })
    }

    /// Returns the number and the bundle of a revision. `None` selects the newest revision.
    pub async fn bundle(&self, name: &str, revision: Option<i64>) -> Result<(i64, String)> {
        self.0.bundle(name, revision).await?.ok_or(RegistryError::UnknownPolicy)
    }

    /// Returns the number of the newest revision.
    pub async fn newest_revision(&self, name: &str) -> Result<i64> {
        self.0.newest_revision(name).await?.ok_or(RegistryError::UnknownPolicy)
    }

    /// Stores the report of a data plane on the policy of this name.
    pub async fn report(&self, name: &str, report: Report) -> Result<()> {
        let refused = match &report.refused {
            Some(digest) => self.0.revision_of(name, digest).await?,
            None => None,
        };
        let plane = Plane {
            plane: plain(&report.plane),
            revision: report.running,
            refused,
            problem: report.problem.as_deref().map(plain),
            detail: report.detail.as_deref().map(plain),
            seen_at: now(),
        };
        let known = self.0.plane(name, &plane.plane).await?;
        let is_known = known.is_some();
        let is_repeated = known.is_some_and(|known| {
            (plane.seen_at.0 - known.seen_at.0).abs() < REPEAT_INTERVAL_SECONDS
                && Plane { seen_at: plane.seen_at, ..known } == plane
        });
        if is_repeated { Ok(()) } else { self.0.keep_plane(name, &plane, is_known).await }
    }
}

/// Returns the keys of a name. A name without revisions and without keys gets the keys that come with its first bundle;
/// a name that has revisions is older than its keys, and an administrator alone does not choose them.
async fn keys_of(
    write: &mut Write,
    name: &str,
    offered: Option<&SignerKeys>,
    actor: &Actor,
) -> Result<SignerKeys> {
    if let Some(signers) = write.signers(name).await? {
        return SignerKeys::of(signers.keys);
    }
    let is_new = write.bundle_after(name, 0).await?.is_none();
    let keys = offered.filter(|_| is_new).ok_or(RegistryError::NoSigners)?;
    register(write, name, 1, keys, actor).await?;
    Ok(keys.clone())
}

/// Puts a bundle in force that enough keys have signed, or keeps it until they have.
async fn settle(
    write: &mut Write,
    name: &str,
    agreed: Agreed,
    keys: &SignerKeys,
    actor: &Actor,
) -> Result<Progress<Revision>> {
    let (signed_by, required) = (agreed.signed_by.clone(), keys.required());
    let missing = required.saturating_sub(signed_by.len());
    let bundle = agreed.jws.to_text();
    if missing > 0 {
        hold(write, name, ProposalKind::Revision, &agreed, missing, actor).await?;
    }
    let signed = SignedBundle::of(agreed, name);
    let signed = signed.map_err(|error| RegistryError::InvalidBundle(error.code()))?;
    if signed.has_expired(now()) {
        return Err(RegistryError::InvalidBundle("expired"));
    }
    let change = Revision::of(&signed, now(), actor.name())?;
    let unsigned = unsigned_after_base(write, &signed, keys).await?;
    let action = if missing == 0 {
        discard(write, &signed, unsigned, actor).await?;
        write.insert_revision(&change, &bundle).await?;
        write.delete_proposal(name, ProposalKind::Revision).await?;
        "policy.publish"
    } else {
        "policy.propose"
    };
    let detail = json!({
        "revision": change.revision, "sha256": change.sha256, "percent": change.percent, "signed_by": signed_by,
        "required": required,
    });
    write.audit(actor, action, name, &detail).await?;
    Ok(Progress { change, signed_by, required })
}

/// Checks that the bundle follows the newest signed revision, by number and digest, and returns the unsigned revisions
/// after that one. A signed revision after that one is an error: another signer was faster.
async fn unsigned_after_base(
    write: &mut Write,
    signed: &SignedBundle,
    keys: &SignerKeys,
) -> Result<Vec<i64>> {
    let base = signed.follows.map_or(0, |before| before.revision);
    if signed.revision > base.saturating_add(MAX_STEP) {
        return Err(RegistryError::InvalidBundle("revision_too_far"));
    }
    let base = i64::try_from(base).map_err(|_| RegistryError::StaleRevision)?;
    if let Some(before) = signed.follows {
        // The digest is computed anew: another writer of the database may have stored another.
        let held = write.bundle_at(&signed.name, base).await?;
        if held.is_none_or(|text| Digest::of(text.as_bytes()) != before.digest) {
            return Err(RegistryError::StaleRevision);
        }
    }
    let (mut unsigned, mut above) = (Vec::new(), base);
    while let Some((number, text)) = write.bundle_after(&signed.name, above).await? {
        if keys.have_signed(&text, &signed.name, number) {
            return Err(RegistryError::StaleRevision);
        }
        unsigned.push(number);
        above = number;
    }
    Ok(unsigned)
}

/// Deletes the unsigned revisions after the one that the bundle follows.
async fn discard(
    write: &mut Write,
    signed: &SignedBundle,
    mut unsigned: Vec<i64>,
    actor: &Actor,
) -> Result<()> {
    if unsigned.is_empty() {
        return Ok(());
    }
    let base = signed.follows.map_or(Ok(0), |before| i64::try_from(before.revision));
    write.delete_revisions_after(&signed.name, base.map_err(|_| RegistryError::StaleRevision)?).await?;
    let count = unsigned.len();
    unsigned.truncate(MAX_AUDITED);
    let detail = json!({"count": count, "revisions": unsigned});
    write.audit(actor, "policy.discard", &signed.name, &detail).await
}

/// Truncates a text of a data plane and replaces control characters with spaces.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(MAX_TEXT_CHARS).collect()
}
