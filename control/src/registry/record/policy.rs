//! Revisions of policies, and the data planes that run them.

use keyswap_core::base::{Digest, UnixTime};
use keyswap_core::services::SignedBundle;
use serde::{Deserialize, Serialize};

use super::error::RegistryError;
use super::model::{rfc3339, time};
use super::proposal::Progress;
use super::signers::Signers;

/// A revision of a policy, without its bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Revision {
    /// The name of the policy.
    pub name: String,
    /// The number of the revision. Greater numbers are newer.
    pub revision: i64,
    /// The SHA-256 of the document, in hexadecimal digits.
    pub sha256: String,
    /// The share of principals that the candidate decides for, in percent. `None` without a candidate.
    pub percent: Option<u8>,
    /// The time of publication, or of the last signature.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub published_at: UnixTime,
    /// The actor that published the revision, or brought the last signature.
    pub published_by: String,
}

impl Revision {
    /// Describes a signed bundle.
    ///
    /// # Errors
    /// [`RegistryError::InvalidBundle`] for a number that is not one of a revision.
    pub(in crate::registry) fn of(
        signed: &SignedBundle,
        published_at: UnixTime,
        published_by: &str,
    ) -> Result<Self, RegistryError> {
        let number = i64::try_from(signed.revision).ok().filter(|number| *number > 0);
        Ok(Self {
            name: signed.name.clone(),
            revision: number.ok_or(RegistryError::InvalidBundle("invalid_revision"))?,
            sha256: signed.policy.sha256(),
            percent: signed.policy.candidate.as_ref().map(|candidate| candidate.percent),
            published_at,
            published_by: published_by.to_owned(),
        })
    }
}

/// The last report of a data plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Plane {
    /// The name that the data plane reports.
    pub plane: String,
    /// The revision that the data plane runs, `None` if it runs none.
    pub revision: Option<i64>,
    /// The revision that the data plane refuses, if the registry has it.
    pub refused: Option<i64>,
    /// The code of the problem with the refused revision.
    pub problem: Option<String>,
    /// The problem in words.
    pub detail: Option<String>,
    /// The time of the report.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: UnixTime,
}

/// The status of a policy: its newest revisions, newest first, and the data planes that fetch it.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PolicyStatus {
    /// The revisions.
    pub revisions: Vec<Revision>,
    /// The data planes, in the order of their names.
    pub planes: Vec<Plane>,
    /// The keys that may sign, `None` if the registry knows none: it then accepts no revision.
    pub signers: Option<Signers>,
    /// The next revision, if it waits for signatures.
    pub proposal: Option<Progress<Revision>>,
    /// The next keys, if they wait for signatures of the present ones.
    pub proposed_signers: Option<Progress<Signers>>,
}

/// A report that a data plane sends with its request for a policy.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The name of the data plane.
    pub plane: String,
    /// The revision that it runs, `None` if it runs none.
    pub running: Option<i64>,
    /// The SHA-256 of the bundle that it refuses.
    pub refused: Option<Digest>,
    /// The code of the problem with the refused bundle.
    pub problem: Option<String>,
    /// The problem in words.
    pub detail: Option<String>,
}

/// Returns true for a valid name: 1 to 64 letters, digits, `-` or `_`.
pub(in crate::registry) fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(is_part)
}
