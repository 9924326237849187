//! A key of another program's list, and the field that callers send it in.

use keyswap_core::base::Digest;
use keyswap_core::request::Slot;

use crate::command::policy::import::draft::Draft;
use crate::command::policy::import::token::Token;

/// The length in bytes below which a key is reported as guessable.
const SHORT: usize = 12;

/// The marks of texts that another program replaces by a key: variables, templates of Helm, decK and others, vaults, SOPS.
const REFERENCES: [&str; 7] = ["${", "$(", "{{", "{vault://", "<path:", "ENC[", "<%"];

/// The kind of a list. A list of permitted clients is for keys of its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::command::policy::import) enum Kind {
    Envoy,
    EnvoyGateway,
    Higress,
}

/// A key, with its client and its place in the document.
pub(in crate::command::policy::import) struct Found {
    pub(in crate::command::policy::import) kind: Kind,
    pub(in crate::command::policy::import) place: String,
    pub(in crate::command::policy::import) client: String,
    pub(in crate::command::policy::import) key: String,
    /// The SecurityPolicies that accept the key, by their places.
    pub(in crate::command::policy::import) policies: Vec<String>,
    /// The reasons for which the key must not be used unseen.
    pub(in crate::command::policy::import) faults: Vec<String>,
}

/// Returns the token of a key.
///
/// # Errors
/// The reason for which the text is no key that a caller can send.
pub(in crate::command::policy::import) fn token(
    key: &str,
    label: &str,
    providers: Vec<String>,
) -> Result<Token, &'static str> {
    let key = bearer(key.trim());
    if key.is_empty() {
        return Err("the key is empty");
    }
    if REFERENCES.iter().any(|mark| key.contains(mark)) {
        return Err("the key is a reference, and its value is not here");
    }
    if key.chars().any(char::is_control) {
        return Err("the key has a character that no header can carry");
    }
    let mut token = Token::new(&Digest::of(key.as_bytes()), label, providers);
    if key.len() < SHORT {
        token.note("the key is short enough to be guessed: replace it with a new token");
    }
    Ok(token)
}

/// Strips the scheme `Bearer`, for lists that hold whole `Authorization` values.
fn bearer(key: &str) -> &str {
    match key.split_at_checked("Bearer ".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("Bearer ") => rest.trim(),
        _ => key,
    }
}

/// Notes a field that callers send their key in, unless it is an auth slot of Keyswap.
pub(in crate::command::policy::import) fn note_source(
    place: &str,
    kind: &str,
    name: &str,
    draft: &mut Draft,
) {
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
