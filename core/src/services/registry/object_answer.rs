//! The registry's answer about objects. An answer that cannot be read whole tells nothing.

use serde_json::Value;

use super::object_holder::Holder;
use crate::base::Digest;
use crate::services::fetch::MAX_FETCHED_BYTES;
use crate::syntax::json;

/// An object that the registry knows.
pub(super) struct Told {
    pub(super) digest: Digest,
    pub(super) holder: Holder,
    pub(super) version: u64,
}

impl Told {
    /// Reads the list; `None` where it is malformed.
    pub(super) fn list(answer: &Value) -> Option<Vec<Self>> {
        answer.get("objects")?.as_array()?.iter().map(object).collect()
    }

    /// Reads the list of an answer that is not signed.
    pub(super) fn read(body: &[u8]) -> Option<Vec<Self>> {
        if body.len() > MAX_FETCHED_BYTES {
            return None;
        }
        Self::list(&json::parse(body).ok()?)
    }
}

fn object(value: &Value) -> Option<Told> {
    let digest = |name| Digest::from_hex(value.get(name)?.as_str()?);
    let team = match value.get("team") {
        None | Some(Value::Null) => None,
        Some(team) => Some(team.as_str()?.to_owned()),
    };
    let version = match value.get("version") {
        None | Some(Value::Null) => 0,
        Some(version) => version.as_u64()?,
    };
    Some(Told {
        digest: digest("sha256")?,
        holder: Holder { principal: digest("principal")?, team },
        version,
    })
}
