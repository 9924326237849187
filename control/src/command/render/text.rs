//! The text of what is rendered: templates with values put in, and documents as JSON and YAML that people can read.
//!
//! A template's `{{name}}` becomes the value of that name. A value of several lines that stands alone on its line gets the
//! indentation of its place. What is put in is either checked where it comes from or written by this module, so that no
//! value can end the scalar that it stands in.

use std::fmt::Write as _;

use serde_json::Value;

/// As wide as a line may be before a value goes on lines of its own.
const WIDTH: usize = 100;

/// The template with its values. A name without a value, and a value without a place, is a defect of this program.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len());
    for line in template.lines() {
        let content = line.trim_start();
        let indent = line.strip_suffix(content).unwrap_or_default();
        let alone =
            values.iter().find(|(name, _)| content.strip_prefix("{{") == Some(&format!("{name}}}}}")));
        if let Some((_, value)) = alone {
            put_indented(&mut text, indent, value);
            continue;
        }
        put_filled(&mut text, line, values);
        text.push('\n');
    }
    text
}

/// From left to right, once: what is put in has no places.
fn put_filled(text: &mut String, line: &str, values: &[(&str, &str)]) {
    let mut rest = line;
    while let Some((before, (name, after))) =
        rest.split_once("{{").and_then(|(before, place)| Some((before, place.split_once("}}")?)))
    {
        text.push_str(before);
        let value = values.iter().find(|(known, _)| *known == name);
        debug_assert!(value.is_some(), "a place without a value: {name}");
        text.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    text.push_str(rest);
}

fn put_indented(text: &mut String, indent: &str, value: &str) {
    for line in value.lines() {
        let _ = match line {
            "" => writeln!(text),
            line => writeln!(text, "{indent}{line}"),
        };
    }
}

/// The document as JSON in ASCII: short values on one line.
pub(super) fn json(document: &Value) -> String {
    let mut text = String::new();
    put_json(&mut text, document, 0);
    text
}

fn put_json(text: &mut String, value: &Value, depth: usize) {
    let short = spaced(value);
    if depth > 0 && short.len() + 2 * depth < WIDTH {
        text.push_str(&short);
        return;
    }
    let (open, close, items): (_, _, Vec<(Option<&String>, &Value)>) = match value {
        Value::Object(members) if !members.is_empty() => {
            ('{', '}', ordered(members).map(|(name, value)| (Some(name), value)).collect())
        }
        Value::Array(items) if !items.is_empty() => {
            ('[', ']', items.iter().map(|item| (None, item)).collect())
        }
        _ => return text.push_str(&short),
    };
    text.push(open);
    for (index, (name, value)) in items.into_iter().enumerate() {
        let _ = write!(text, "{}\n{:2$}", if index > 0 { "," } else { "" }, "", 2 * depth + 2);
        if let Some(name) = name {
            let _ = write!(text, "{}: ", quoted(name));
        }
        put_json(text, value, depth + 1);
    }
    let _ = write!(text, "\n{:2$}{1}", "", close, 2 * depth);
}

/// On one line, with the spaces that people write.
fn spaced(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> = ordered(members)
                .map(|(name, value)| format!("{}: {}", quoted(name), spaced(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// The version of a document stands first, whatever the alphabet says.
fn ordered(members: &serde_json::Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let (first, rest): (Vec<_>, Vec<_>) = members.iter().partition(|(name, _)| *name == "version");
    first.into_iter().chain(rest)
}

/// The document as YAML in blocks. Text is quoted unless every reader of YAML takes it for text.
pub(super) fn yaml(document: &Value) -> String {
    let mut text = String::new();
    put_yaml(&mut text, document, 0);
    text
}

fn put_yaml(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in ordered(members) {
                let _ = write!(text, "{:1$}", "", 2 * depth);
                text.push_str(&scalar(name));
                text.push(':');
                put_member(text, value, depth + 1);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut nested = String::new();
                put_yaml(&mut nested, item, depth + 1);
                let _ = write!(text, "{:1$}- ", "", 2 * depth);
                text.push_str(nested.trim_start());
            }
        }
        other => {
            let _ = writeln!(text, "{:1$}{2}", "", 2 * depth, flat(other));
        }
    }
}

fn put_member(text: &mut String, value: &Value, depth: usize) {
    let is_nested = match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.iter().all(|item| item.is_string() || item.is_number()),
        _ => false,
    };
    if is_nested {
        text.push('\n');
        put_yaml(text, value, depth);
    } else {
        let _ = writeln!(text, " {}", flat(value));
    }
}

fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// Words that YAML 1.1 takes for something else than text.
const WORDS: [&str; 12] =
    ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf", "undefined"];

/// Text as a scalar of YAML: in quotes unless every reader takes it for text without.
pub(super) fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { quoted(text) }
}

/// In quotes as both JSON and YAML read them. What is not ASCII is escaped: YAML breaks lines at more characters than JSON.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for char in Value::from(text).to_string().chars() {
        if char.is_ascii() && char != '\u{7f}' {
            quoted.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            let _ = write!(quoted, "\\u{unit:04x}");
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_read_back_as_it_was() {
        let text = "quotes \" and \\, a line\nbreak, \u{85}\u{2028}é🦀, `#` and `: `, {{name}}";
        let documents = [
            json!({"version": "keyswap/v1", "on": "off", "a": [[], {}, [1, "2", null]], "text": text}),
            json!({"list": [{"b": {"c": true}, "d": [{"e": "2030-06-30T00:00:00Z"}]}, [["x"]]], "": "-"}),
            json!({"long": (0..60).map(|n| format!("value-{n}")).collect::<Vec<_>>(), "number": "1e3"}),
        ];
        for document in documents {
            assert_eq!(serde_json::from_str::<Value>(&json(&document)).unwrap(), document);
            let yaml = yaml(&document);
            assert_eq!(crate::text::yaml::parse(yaml.as_bytes()).as_ref(), Ok(&document), "{yaml}");
        }
    }

    #[test]
    fn values_are_indented_like_their_place_and_have_no_places() {
        let filled = fill("a: {{x}} {{x}}\nb:\n  {{list}}\n", &[("x", "{{list}}"), ("list", "- 1\n\n- 2\n")]);
        assert_eq!(filled, "a: {{list}} {{list}}\nb:\n  - 1\n\n  - 2\n");
    }
}
