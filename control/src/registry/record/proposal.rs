//! Changes that need the signatures of several keys, and those that wait for some.

use keyswap_core::base::UnixTime;
use serde::{Deserialize, Serialize};

/// A change that was signed, and the keys that have signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Progress<T> {
    /// The change.
    #[serde(flatten)]
    pub change: T,
    /// The names of the registered keys that have signed the change. Each key is there once.
    pub signed_by: Vec<String>,
    /// The number of keys that must have signed the change before it is in force.
    pub required: usize,
}

impl<T> Progress<T> {
    /// Returns true if the change is in force. Otherwise it is a proposal.
    pub fn is_complete(&self) -> bool {
        self.signed_by.len() >= self.required
    }
}

/// The kinds of changes that wait for signatures.
#[derive(Clone, Copy)]
pub(in crate::registry) enum ProposalKind {
    /// The next revision of a policy.
    Revision,
    /// The next keys of a policy's name.
    Signers,
}

impl ProposalKind {
    pub(in crate::registry) const fn name(self) -> &'static str {
        match self {
            Self::Revision => "revision",
            Self::Signers => "signers",
        }
    }
}

/// A stored proposal.
pub(in crate::registry) struct Held {
    /// The change and its signatures. Another writer of the database may have stored anything.
    pub(in crate::registry) jws: String,
    pub(in crate::registry) proposed_at: UnixTime,
    pub(in crate::registry) proposed_by: String,
}
