//! Cross-origin requests in a policy: the pages that may call from a browser.

use super::reader::Node;
use crate::answer::Origins;

/// Reads the origins of the pages that may call.
///
/// Any page may, unless the policy lists origins. Answers never allow the cookies of a browser, so a page can only use
/// a token that it was given.
#[inline(never)]
pub(super) fn read(node: &Node<'_>) -> Option<Origins> {
    let mut fields = node.fields()?;
    let origins = fields.required("allow_origins").map(|node| read_origins(&node));
    fields.finish();
    origins
}

fn read_origins(node: &Node<'_>) -> Origins {
    let items = node.items();
    let names: Vec<&str> = items.iter().filter_map(Node::text).collect();
    if names == ["*"] {
        return Origins::Any;
    }
    // Pages of apps and of extensions have schemes of their own: `app://obsidian.md`, `tauri://localhost`.
    let is_scheme = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')
            })
    };
    let is_origin = |text: &str| {
        text.split_once("://").is_some_and(|(scheme, host)| {
            is_scheme(scheme)
                && !host.is_empty()
                && host.bytes().all(|byte| {
                    byte.is_ascii_graphic() && !matches!(byte, b'/' | b'*' | b'?' | b'#' | b'@' | b',')
                })
                && host == host.to_ascii_lowercase()
        })
    };
    for item in &items {
        if item.text().is_some_and(|text| !is_origin(text)) {
            item.fail("expected an origin such as `https://app.example.com`, or `*` alone");
        }
    }
    Origins::These(names.into_iter().map(str::to_owned).collect())
}
