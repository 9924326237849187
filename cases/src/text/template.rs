//! Placeholders in double braces in a file of cases.
//!
//! `{{sha256:token}}` is the digest of that token, `{{id:token}}` the id of its principal. `{{token:name}}` is a
//! generated token that replaces the one with this label or this SHA-256. `{{identity}}` is the JWT of the case. Both are
//! filled in when a case is judged.

use keyswap_core::base::Digest;
use serde_json::Value;

/// A principal's id is that many digits of the digest.
const ID_DIGITS: usize = 16;

/// Replaces the placeholders of digests and ids in every string of a document, and in every name of a member.
pub(crate) fn expand(document: &mut Value) {
    match document {
        Value::String(text) if text.contains("{{") => *text = digests(text),
        Value::Array(items) => items.iter_mut().for_each(expand),
        Value::Object(members) => {
            members.values_mut().for_each(expand);
            if members.keys().any(|name| name.contains("{{")) {
                *members =
                    std::mem::take(members).into_iter().map(|(name, it)| (digests(&name), it)).collect();
            }
        }
        _ => {}
    }
}

fn digests(text: &str) -> String {
    replace(text, |inner| {
        let (kind, token) = inner.split_once(':')?;
        let digest = Digest::of(token.as_bytes()).to_hex();
        match kind {
            "sha256" => Some(digest),
            "id" => digest.get(..ID_DIGITS).map(str::to_owned),
            _ => None,
        }
    })
}

/// Returns the generated token that replaces the one with this label. The token is the same in every run.
pub(crate) fn stand_in(label: &str) -> String {
    let digest = Digest::of(format!("stand-in\0{label}").as_bytes()).to_hex();
    format!("ptk_{}", digest.get(..32).unwrap_or_default())
}

/// Returns the labels of the tokens that a text has placeholders for.
pub(crate) fn labels(text: &str) -> Vec<String> {
    let mut labels = Vec::new();
    replace(text, |inner| {
        labels.extend(inner.strip_prefix("token:").map(str::to_owned));
        None
    });
    labels
}

/// Returns true for a text with a placeholder for the JWT of its case.
pub(crate) fn asks_for_identity(text: &str) -> bool {
    text.contains("{{identity}}")
}

/// Returns the text with generated tokens and the JWT in it.
pub(crate) fn fill(text: &str, identity: Option<&str>) -> String {
    replace(text, |inner| match inner.strip_prefix("token:") {
        Some(label) => Some(stand_in(label)),
        None => identity.filter(|_| inner == "identity").map(str::to_owned),
    })
}

/// Returns the text with its placeholders replaced; those that `with` does not know stay as they are.
fn replace(text: &str, mut with: impl FnMut(&str) -> Option<String>) -> String {
    let mut parts = text.split("{{");
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("}}").and_then(|(inner, rest)| Some((with(inner)?, rest))) {
            Some((value, rest)) => replaced.extend([value.as_str(), rest]),
            None => replaced.extend(["{{", part]),
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_replaced_and_all_else_stays() {
        let digest = Digest::of(b"t").to_hex();
        for (text, expect) in [
            ("a {{sha256:t}} b {{id:t}}", format!("a {digest} b {}", &digest[..16])),
            (
                "{{token:x}} {{identity}} {{other}} {{sha256:t",
                "{{token:x}} {{identity}} {{other}} {{sha256:t".to_owned(),
            ),
            ("{{{{id:t}}}}", format!("{{{{{}}}}}", &digest[..16])),
        ] {
            let mut value = Value::from(text);
            expand(&mut value);
            assert_eq!(value, expect, "{text}");
        }
        let mut members = serde_json::json!({"a {{id:t}}": {"{{sha256:t}}": 1}, "b": 2});
        expand(&mut members);
        let id = format!("a {}", &digest[..16]);
        assert_eq!(members, serde_json::json!({(id): {(digest): 1}, "b": 2}));
        assert_eq!(labels("{{token:a b}}, {{token:c}} {{id:t}}"), ["a b", "c"]);
        assert_eq!(fill("Bearer {{token:a}}", None), format!("Bearer {}", stand_in("a")));
        assert_eq!(fill("{{identity}}", Some("j.w.t")), "j.w.t");
        assert_eq!(fill("{{identity}}", None), "{{identity}}");
    }
}
