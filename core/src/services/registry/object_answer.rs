//! The registry's answer about objects. An answer that cannot be read whole tells nothing.

use serde_json::Value;

use super::object_memory::Holder;
use crate::base::Digest;
use crate::services::fetch::MAX_FETCHED_BYTES;
use crate::syntax::json;

/// An object that the registry knows.
pub(super) struct Told {
    pub(super) digest: Digest,
    pub(super) holder: Holder,
    pub(super) version: u64,
}

/// Reads the list; `None` where it is malformed.
pub(super) fn read(body: &[u8]) -> Option<Vec<Told>> {
    if body.len() > MAX_FETCHED_BYTES {
        return None;
    }
    json::parse(body).ok()?.get("objects")?.as_array()?.iter().map(object).collect()
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
