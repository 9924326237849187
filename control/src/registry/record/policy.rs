//! Revisions of policies, and the data planes that run them.

use keyswap_core::base::{Digest, UnixTime};
use serde::{Deserialize, Serialize};

use super::model::{rfc3339, time};

/// A revision of a policy, without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The policy's name.
    pub name: String,
    /// Its number: larger ones are newer.
    pub revision: i64,
    /// The SHA-256 of the document, in hexadecimal digits.
    pub sha256: String,
    /// The share in percent for which a candidate decides, where one is tried.
    pub percent: Option<u8>,
    /// The time at which it was published.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    pub published_at: UnixTime,
    /// The actor.
    pub published_by: String,
}

/// The last report of a data plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plane {
    /// Its own name.
    pub plane: String,
    /// The revision in force there, if there is one.
    pub revision: Option<i64>,
    /// The revision that it refuses, if it is one of this registry's.
    pub refused: Option<i64>,
    /// The problem with the refused revision, in a word.
    pub problem: Option<String>,
    /// The same in a sentence.
    pub detail: Option<String>,
    /// The time of the report.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    pub seen_at: UnixTime,
}

/// A policy: its newest revisions, the newest first, and the data planes that ask for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// The revisions.
    pub revisions: Vec<Revision>,
    /// The data planes, by name.
    pub planes: Vec<Plane>,
}

/// A report that comes with a data plane's request.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Its own name.
    pub plane: String,
    /// The revision in force there.
    pub running: Option<i64>,
    /// The SHA-256 of what it refuses.
    pub refused: Option<Digest>,
    /// The problem with that, in a word.
    pub problem: Option<String>,
    /// The same in a sentence.
    pub detail: Option<String>,
}
