//! What stands in double braces in a file of cases.
//!
//! `{{sha256:token}}` is the digest of that token, `{{id:token}}` the id of its principal. `{{token:label}}` stands for a
//! token that is not known here, and `{{identity}}` for the JWT of the case: they are put in when a case is judged.

use keyswap_core::base::Digest;
use serde_json::Value;

/// Digits of a digest that make a principal's id.
const ID_DIGITS: usize = 16;

/// Puts digests and ids into every string of a document.
pub(super) fn expand(document: &mut Value) {
    match document {
        Value::String(text) if text.contains("{{") => *text = digests(text),
        Value::Array(items) => items.iter_mut().for_each(expand),
        Value::Object(members) => members.values_mut().for_each(expand),
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

/// The token that stands for the one with this label. It is the same in every run, and good for nothing else.
pub(super) fn stand_in(label: &str) -> String {
    let digest = Digest::of(format!("stand-in\0{label}").as_bytes()).to_hex();
    format!("ptk_{}", digest.get(..32).unwrap_or_default())
}

/// The labels whose tokens a text asks for.
pub(super) fn labels(text: &str) -> Vec<String> {
    let mut labels = Vec::new();
    replace(text, |inner| {
        labels.extend(inner.strip_prefix("token:").map(str::to_owned));
        None
    });
    labels
}

/// Whether a text asks for the JWT of its case.
pub(super) fn asks_for_identity(text: &str) -> bool {
    text.contains("{{identity}}")
}

/// A text with tokens and the JWT in it.
pub(super) fn fill(text: &str, identity: Option<&str>) -> String {
    replace(text, |inner| match inner.strip_prefix("token:") {
        Some(label) => Some(stand_in(label)),
        None => identity.filter(|_| inner == "identity").map(str::to_owned),
    })
}

/// The text with what stands in braces replaced; what is not known stays.
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
        assert_eq!(labels("{{token:a b}}, {{token:c}} {{id:t}}"), ["a b", "c"]);
        assert_eq!(fill("Bearer {{token:a}}", None), format!("Bearer {}", stand_in("a")));
        assert_eq!(fill("{{identity}}", Some("j.w.t")), "j.w.t");
        assert_eq!(fill("{{identity}}", None), "{{identity}}");
    }
}
