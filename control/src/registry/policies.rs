//! Operations on policies and on the reports of data planes that run them. Revisions are signed, immutable, and have
//! ascending numbers.
//!
//! Data planes have public keys of their own and verify the signature. So does the registry, with the keys of the name:
//! a key of the name signs each revision, and with it the number and the digest of the revision before. A revision that
//! no key of the name signed can only come from another writer of the database; the next signed one discards it.

use keyswap_core::base::Digest;
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::services::{BundleError, MAX_BUNDLE_BYTES, SignedBundle};
use serde_json::json;

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::clock::now;
use super::record::error::RegistryError;
use super::record::policy::{Plane, PolicyStatus, Report, Revision, is_name};
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
    /// Publishes a signed policy, which is in force from then on. The first revision of a name registers `keys` as the
    /// keys of that name, if it has none.
    ///
    /// # Errors
    /// [`RegistryError::InvalidBundle`] for a bundle that is malformed or whose policy is invalid,
    /// [`RegistryError::NoSigners`] and [`RegistryError::UntrustedSigner`] for a signature that cannot be trusted,
    /// [`RegistryError::StaleRevision`] for a bundle that does not follow the newest signed revision.
    pub async fn publish(&self, bundle: &str, keys: Option<&SignerKeys>, actor: &Actor) -> Result<Revision> {
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
        let signed = SignedBundle::open(bundle.as_bytes(), &name, keys.set(), &PureRust);
        let signed = signed.map_err(|error| match error {
            BundleError::Signature => RegistryError::UntrustedSigner,
            other => RegistryError::InvalidBundle(other.code()),
        })?;
        if signed.has_expired(now()) {
            return Err(RegistryError::InvalidBundle("expired"));
        }
        let number = i64::try_from(signed.revision).ok().filter(|number| *number > 0);
        let revision = Revision {
            revision: number.ok_or(RegistryError::InvalidBundle("invalid_revision"))?,
            sha256: signed.policy.sha256(),
            percent: signed.policy.candidate.as_ref().map(|candidate| candidate.percent),
            name,
            published_at: now(),
            published_by: actor.name().to_owned(),
        };
        discard_unsigned(&mut write, &signed, &keys, actor).await?;
        write.insert_revision(&revision, bundle).await?;
        let detail =
            json!({"revision": revision.revision, "sha256": revision.sha256, "percent": revision.percent});
        write.audit(actor, "policy.publish", &revision.name, &detail).await?;
        write.commit().await?;
        Ok(revision)
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
        Ok(PolicyStatus { revisions, planes: self.0.planes(name).await?, signers })
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

/// Checks that the bundle follows the newest signed revision, by number and digest, and deletes the unsigned revisions
/// after that one. A signed revision after that one is an error: another signer was faster.
async fn discard_unsigned(
    write: &mut Write,
    signed: &SignedBundle,
    keys: &SignerKeys,
    actor: &Actor,
) -> Result<()> {
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
    if unsigned.is_empty() {
        return Ok(());
    }
    write.delete_revisions_after(&signed.name, base).await?;
    let count = unsigned.len();
    unsigned.truncate(MAX_AUDITED);
    let detail = json!({"count": count, "revisions": unsigned});
    write.audit(actor, "policy.discard", &signed.name, &detail).await
}

/// Truncates a text of a data plane and replaces control characters with spaces.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(MAX_TEXT_CHARS).collect()
}
