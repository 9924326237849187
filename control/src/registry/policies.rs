//! Operations on policies and on the reports of data planes that run them. Revisions are signed, immutable, and have
//! ascending numbers.
//!
//! Data planes have the public key and verify the signature. The registry checks only the form of a bundle, and that
//! its policy is valid.

use keyswap_core::services::{MAX_BUNDLE_BYTES, SignedBundle};
use serde_json::json;

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::clock::now;
use super::record::error::RegistryError;
use super::record::policy::{Plane, PolicyStatus, Report, Revision};

/// The interval in which an unchanged report of a data plane is stored again.
const REPEAT_INTERVAL_SECONDS: i64 = 15;
/// The longest name of a data plane, and the longest text of a problem that it reports.
const MAX_TEXT_CHARS: usize = 300;
/// The largest number of revisions in a policy's status.
const MAX_LISTED_REVISIONS: i64 = 50;

impl Registry {
    /// Publishes a signed policy, which is in force from then on.
    ///
    /// # Errors
    /// [`RegistryError::InvalidBundle`] for a bundle that is malformed or whose policy is invalid,
    /// [`RegistryError::StaleRevision`] for a number that is not greater than those of all revisions of the policy.
    pub async fn publish(&self, bundle: &str, actor: &Actor) -> Result<Revision> {
        if bundle.len() > MAX_BUNDLE_BYTES {
            return Err(RegistryError::InvalidBundle("too_long"));
        }
        let signed = SignedBundle::peek(bundle.as_bytes())
            .map_err(|fault| RegistryError::InvalidBundle(fault.code()))?;
        if !is_name(&signed.name) {
            return Err(RegistryError::InvalidBundle("invalid_name"));
        }
        let revision = i64::try_from(signed.revision).ok().filter(|revision| *revision > 0);
        let revision = Revision {
            revision: revision.ok_or(RegistryError::InvalidBundle("invalid_revision"))?,
            sha256: signed.policy.sha256(),
            percent: signed.policy.candidate.as_ref().map(|candidate| candidate.percent),
            name: signed.name,
            published_at: now(),
            published_by: actor.name().to_owned(),
        };
        let mut write = self.0.write().await?;
        if let Some(newest) = write.newest_revision(&revision.name).await?
            && newest >= revision.revision
        {
            return Err(RegistryError::StaleRevision);
        }
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

    /// Returns a policy's newest revisions, at most 50, and the data planes that run it.
    pub async fn policy(&self, name: &str) -> Result<PolicyStatus> {
        let revisions = self.0.revisions(name, MAX_LISTED_REVISIONS).await?;
        if revisions.is_empty() {
            return Err(RegistryError::UnknownPolicy);
        }
        Ok(PolicyStatus { revisions, planes: self.0.planes(name).await? })
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

/// Returns true for a valid name: 1 to 64 letters, digits, `-` or `_`.
fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(is_part)
}

/// Truncates a text of a data plane and replaces control characters with spaces.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(MAX_TEXT_CHARS).collect()
}
