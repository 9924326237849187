//! Bindings in a policy: the callers of a provider that have a credential of their own.

use std::collections::BTreeMap;

use super::reader::{NAME_EXPECTED, Node, is_name};
use super::tokens::EMAIL_EXPECTED;
use crate::base::Digest;
use crate::provider::{BindingKind, Bindings};
use crate::syntax::is_email;

/// The digits of a token's id, and those of its SHA-256.
const ID_DIGITS: usize = 16;
const TOKEN_EXPECTED: &str =
    "expected the id of a token, 16 lower-case hexadecimal digits, or its SHA-256, in quotes";

/// Reads `bindings`: by kind, the names of callers with that of their credential.
#[inline(never)]
pub(super) fn read(node: &Node<'_>) -> Bindings<String> {
    let Some(mut fields) = node.fields() else { return Bindings::default() };
    let mut is_empty = true;
    let by_kind = BindingKind::ALL.map(|kind| {
        let entries = fields.optional(kind.member()).map(|node| node.entries()).unwrap_or_default();
        is_empty &= entries.is_empty();
        (kind, read_kind(kind, entries))
    });
    fields.finish();
    if is_empty {
        node.fail(
            "expected at least one of `tokens`, `people`, `owners`, `teams`, with a credential for each name",
        );
    }
    Bindings::new(by_kind)
}

fn read_kind(kind: BindingKind, entries: Vec<(&str, Node<'_>)>) -> BTreeMap<String, String> {
    let mut bound = BTreeMap::new();
    for (name, node) in entries {
        let name = match kind {
            BindingKind::Token => node.check(read_token(name), TOKEN_EXPECTED),
            BindingKind::Person | BindingKind::Owner => {
                let address = Some(name.trim()).filter(|name| is_email(name)).map(str::to_ascii_lowercase);
                node.check(address, EMAIL_EXPECTED)
            }
            BindingKind::Team => {
                node.check(Some(name).filter(|name| is_name(name)), NAME_EXPECTED).map(str::to_owned)
            }
        };
        let Some((name, credential)) = name.zip(node.name()) else { continue };
        if is_of_same_token(kind, &name, &bound) || bound.insert(name, credential).is_some() {
            node.fail("another name here is of the same caller: a caller has one binding");
        }
    }
    bound
}

fn read_token(name: &str) -> Option<String> {
    let is_id = name.len() == ID_DIGITS && Digest::from_hex(&format!("{name:0<64}")).is_some();
    (is_id || Digest::from_hex(name).is_some()).then(|| name.to_owned())
}

/// Returns whether a token is bound already by the other form of its name.
fn is_of_same_token(kind: BindingKind, name: &str, bound: &BTreeMap<String, String>) -> bool {
    let is_same = |other: &String| other.starts_with(name) || name.starts_with(other.as_str());
    kind == BindingKind::Token && bound.keys().any(|other| other != name && is_same(other))
}
