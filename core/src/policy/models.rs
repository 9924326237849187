//! Models in a policy: the groups that it declares, and the lists of records.

use std::collections::BTreeMap;

use super::error::listed;
use super::reader::Node;
use crate::identity::{GROUP, ModelGroups, Models};
use crate::syntax::is_line;

/// The longest name of a model, in characters.
const MAX_CHARS: usize = 256;

impl ModelGroups {
    /// Reads `model_groups`: names and globs, by the name of the group.
    #[inline(never)]
    pub(super) fn read(node: &Node<'_>) -> Self {
        let mut groups = BTreeMap::new();
        for (name, item) in node.entries() {
            if !crate::syntax::is_plain_name(name) {
                item.fail("expected a name of 1 to 64 letters, digits, `-` and `_`");
                continue;
            }
            let entries = read_entries(&item, &|text| {
                let is_plain = !text.starts_with('!') && !text.starts_with(GROUP);
                (!is_plain).then(|| "a group holds names and globs, no `!` and no other group".to_owned())
            });
            groups.insert(name.to_owned(), entries);
        }
        Self(groups)
    }
}

/// Reads the list `models` of a token, a person or an issuer.
pub(super) fn read(node: &Node<'_>, groups: &ModelGroups) -> Models {
    let entries = read_entries(node, &|text| {
        let name = text.strip_prefix('!').unwrap_or(text).strip_prefix(GROUP)?;
        let is_there = groups.0.contains_key(name);
        (!is_there).then(|| format!("no such group in `model_groups`: {}", known(groups)))
    });
    if !entries.is_empty() && entries.iter().all(|entry| entry.starts_with('!')) {
        node.fail("every entry takes models away, so none is left: add `*` or the models that are allowed");
    }
    Models::new(entries)
}

fn known(groups: &ModelGroups) -> String {
    match listed(groups.0.keys(), |name| format!("`{GROUP}{name}`")).as_str() {
        "" => "the policy declares none".to_owned(),
        names => format!("expected {names}"),
    }
}

fn read_entries(node: &Node<'_>, why_not: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for item in node.items() {
        let Some(text) = item.text() else { continue };
        let name = text.strip_prefix('!').unwrap_or(text);
        let is_name =
            is_line(name, MAX_CHARS) && !name.contains(char::is_whitespace) && !name.starts_with('!');
        if !is_name {
            item.fail(format!("expected a model such as `gpt-5`, `gpt-5*` or `!gpt-5-pro`, of at most {MAX_CHARS} characters"));
        } else if entries.iter().any(|other| other == text) {
            item.fail("this model stands twice in the list");
        } else if let Some(message) = why_not(text) {
            item.fail(message);
        } else {
            entries.push(text.to_owned());
        }
    }
    if node.items().is_empty() {
        node.fail("expected at least one model; `*` is all");
    }
    entries
}
