//! A key of another program's list, and the field that callers send it in.

use keyswap_core::request::Slot;

use super::draft::Draft;

/// The kind of a list. A list of permitted clients is for keys of its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Envoy,
    EnvoyGateway,
    Higress,
}

/// A key, with its client and its place in the document.
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) place: String,
    pub(super) client: String,
    pub(super) key: String,
    /// The reasons for which the key must not be used unseen.
    pub(super) faults: Vec<String>,
}

/// Notes a field that callers send their key in, unless it is an auth slot of Keyswap.
pub(super) fn note_source(place: &str, kind: &str, name: &str, draft: &mut Draft) {
    let slot = match kind {
        "header" => name.to_ascii_lowercase(),
        "query" => format!("query:{name}"),
        _ => format!("{kind}:{name}"),
    };
    if Slot::ALL.iter().all(|known| known.name() != slot) {
        draft.note_once(
            place,
            format!("callers send their key in `{slot}`, which Keyswap does not read: they must move it"),
        );
    }
}
