//! The endpoints of a provider that a policy adds.
//!
//! A policy writes a list of rows, or `any`. Left out, they are those of the built-in API with the provider's dialect.

use super::reader::Node;
use crate::identity::Class;
use crate::provider::{Endpoints, METHOD_NAMES, Methods, OwnRow, read_row};

/// Reads the field `endpoints`.
#[inline(never)]
pub(super) fn read(node: &Node<'_>) -> Option<Endpoints> {
    if node.value() == "any" {
        return Some(Endpoints::Any);
    }
    if !node.value().is_array() {
        node.fail("expected `any`, or a list of endpoints with `methods`, `path` and `class`");
        return None;
    }
    let items = node.items();
    if items.is_empty() {
        node.fail("expected at least one endpoint");
    }
    Some(Endpoints::Own(items.iter().filter_map(read_item).collect()))
}

fn read_item(node: &Node<'_>) -> Option<OwnRow> {
    let mut fields = node.fields()?;
    let methods = fields.required("methods").map(|node| read_methods(&node));
    let path = fields.required("path").and_then(|node| {
        node.check(
            read_row(node.text()?),
            "expected a path such as `/v1/files/{}/content` or `/v1/files/{...}`: `{}` is a segment, `{...}` the rest",
        )
    });
    let classes = Class::ALL.map(|class| (class.name(), class));
    let class = fields.required("class").and_then(|node| node.choice(&classes));
    fields.finish();
    Some(OwnRow { methods: methods?, path: path?.to_owned(), class: class? })
}

fn read_methods(node: &Node<'_>) -> Methods {
    let items = node.items();
    if items.is_empty() {
        node.fail("expected at least one method");
    }
    items.iter().filter_map(|item| item.choice(&METHOD_NAMES)).fold(Methods::default(), Methods::or)
}
