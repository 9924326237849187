//! The text of renderings: filled templates, and documents as readable JSON and YAML.
//!
//! A template's `{{name}}` is replaced with the value of that name. A placeholder alone on its line passes its
//! indentation to all lines of the value. Values are validated where they are parsed or quoted by this module, so no
//! value ends the scalar that it is in.

use std::fmt::Write as _;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;
use serde_saphyr::{DoubleQuoted, FlowSeq};

/// Fills a template. Every placeholder must have a value.
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

/// Fills the placeholders from left to right. Placeholders in values are not filled.
fn put_filled(text: &mut String, line: &str, values: &[(&str, &str)]) {
    let mut rest = line;
    while let Some((before, (name, after))) =
        rest.split_once("{{").and_then(|(before, place)| Some((before, place.split_once("}}")?)))
    {
        text.push_str(before);
        let value = values.iter().find(|(known, _)| *known == name);
        debug_assert!(value.is_some(), "a placeholder without a value: {name}");
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

/// A document in readable form: `version` comes first, and lists of scalars are on one line.
struct Readable<'d>(&'d Value);

impl Serialize for Readable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(members) => {
                let (version, rest): (Vec<_>, Vec<_>) =
                    members.iter().partition(|(name, _)| *name == "version");
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in version.into_iter().chain(rest) {
                    map.serialize_entry(name, &Self(value))?;
                }
                map.end()
            }
            Value::Array(items) if items.iter().all(|item| item.is_string() || item.is_number()) => {
                FlowSeq(items).serialize(serializer)
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Self)),
            other => other.serialize(serializer),
        }
    }
}

/// Returns the document as JSON in ASCII, to be embedded in a YAML block.
pub(super) fn json(document: &Value) -> anyhow::Result<String> {
    Ok(ascii(&serde_json::to_string_pretty(&Readable(document))?))
}

/// Escapes characters outside of ASCII, which JSON has in strings only. YAML treats some of them as line breaks.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for char in json.chars() {
        if char.is_ascii() && char != '\u{7f}' {
            text.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

/// Returns the document as YAML in block style. A string is quoted unless YAML 1.1 and 1.2 both read it as a string.
pub(super) fn yaml(document: &Value) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string_with_options(
        &Readable(document),
        serde_saphyr::ser_options! { compact_list_indent: false },
    )?)
}

/// Returns a text as a YAML scalar that is valid in flow style too. It is quoted unless YAML 1.1 and 1.2 both read it
/// as a string.
pub(super) fn scalar(text: &str) -> String {
    // Texts are never refused.
    let list = serde_saphyr::to_string(&FlowSeq([text])).unwrap_or_default();
    let list = list.trim_end();
    list.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or_default().to_owned()
}

/// Returns a text as a double-quoted YAML scalar.
pub(super) fn quoted(text: &str) -> String {
    // Texts are never refused.
    serde_saphyr::to_string(&DoubleQuoted(text)).unwrap_or_default().trim_end().to_owned()
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
            assert_eq!(serde_json::from_str::<Value>(&json(&document).unwrap()).unwrap(), document);
            let yaml = yaml(&document).unwrap();
            assert_eq!(crate::text::yaml::parse(yaml.as_bytes()).as_ref(), Ok(&document), "{yaml}");
        }
    }

    #[test]
    fn texts_that_yaml_reads_as_something_else_are_quoted() {
        for text in [
            "on",
            "No",
            "y",
            "1e3",
            "0o7",
            "1:30",
            "2030-06-30",
            "~",
            "<<",
            "",
            "a: b",
            "a, b",
            "[a",
            "{{x}}",
        ] {
            let document = json!({text: [text]});
            for yaml in [yaml(&document).unwrap(), format!("{{{0}: [{0}]}}", scalar(text))] {
                assert!(yaml.contains('"') || yaml.contains('\''), "{yaml}");
                assert_eq!(crate::text::yaml::parse(yaml.as_bytes()).as_ref(), Ok(&document), "{yaml}");
            }
        }
        assert_eq!(scalar("openai"), "openai");
        assert_eq!(quoted("a\"b"), r#""a\"b""#);
    }

    #[test]
    fn texts_of_several_lines_stay_what_they_are_in_an_indented_place() {
        let long = "words ".repeat(30);
        let lines = ["a\n  b\n\nc", "a\n\n", "\n a", "a\r\nb\n", long.as_str(), "a\n\u{85}\u{2028}b"];
        let document =
            json!({"list": lines, "member": {"text": lines[0]}, "items": [{"text": lines[1]}, [lines]]});
        let filled = fill("a:\n  b:\n    {{document}}\nc: d\n", &[("document", &yaml(&document).unwrap())]);
        assert_eq!(
            crate::text::yaml::parse(filled.as_bytes()),
            Ok(json!({"a": {"b": document}, "c": "d"})),
            "{filled}"
        );
    }

    #[test]
    fn values_are_indented_like_their_place_and_have_no_places() {
        let filled = fill("a: {{x}} {{x}}\nb:\n  {{list}}\n", &[("x", "{{list}}"), ("list", "- 1\n\n- 2\n")]);
        assert_eq!(filled, "a: {{list}} {{list}}\nb:\n  - 1\n\n  - 2\n");
    }
}
