//! What must become of a request.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What the upstream sees.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Forward {
    pub(super) method: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) target: Option<String>,
    /// All of them, names in lower case, but those of the connection.
    pub(super) headers: Option<BTreeMap<String, String>>,
}

/// A refusal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reply {
    pub(super) status: Option<u16>,
    pub(super) reason: Option<String>,
    /// Whose SDK understands the body.
    pub(super) dialect: Option<String>,
}

/// An answer that is no refusal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) status: Option<u16>,
    pub(super) headers: Option<BTreeMap<String, String>>,
    pub(super) body: Option<String>,
}
