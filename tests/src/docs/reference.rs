//! The fields of a policy, from the schema that editors use: a heading for each.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::tools::project_root;

const SCHEMA: &str = "control/src/command/policy/schema.json";
/// The least number of equal fields of one object that share a heading.
const ALIKE: usize = 3;

/// Returns the headings of all fields, then the forms of their values.
///
/// # Errors
///
/// The schema cannot be read, or a definition is missing.
pub(super) fn fields() -> Result<String> {
    let text = fs::read_to_string(project_root().join(SCHEMA)).context(SCHEMA)?;
    let schema: Value = serde_json::from_str(&text)?;
    let mut reference = Reference { schema: &schema, text: String::new(), forms: BTreeMap::new() };
    reference.children("", &schema)?;
    reference.write_forms();
    Ok(reference.text)
}

struct Reference<'a> {
    schema: &'a Value,
    text: String,
    /// The definitions of plain values in use, by their names.
    forms: BTreeMap<&'a str, &'a Value>,
}

/// A field with the definition that it refers to.
#[derive(Clone, Copy)]
struct Field<'a> {
    own: &'a Value,
    definition: Option<(&'a str, &'a Value)>,
}

impl<'a> Field<'a> {
    /// Returns a keyword of the field; if it has none, that of its definition, then that of an alternative.
    fn get(self, keyword: &str) -> Option<&'a Value> {
        let alternatives = || self.own.get("anyOf")?.as_array()?.iter().find_map(|it| it.get(keyword));
        self.own.get(keyword).or_else(|| self.definition?.1.get(keyword)).or_else(alternatives)
    }

    fn text(self, keyword: &str) -> Option<&'a str> {
        self.get(keyword)?.as_str()
    }

    /// Returns whether the field has fields or items of its own. Its definition is then more than a form of a
    /// value.
    fn is_composed(self) -> bool {
        ["properties", "items", "additionalProperties"].iter().any(|keyword| self.get(keyword).is_some())
    }
}

impl<'a> Reference<'a> {
    fn resolve(&self, own: &'a Value) -> Result<Field<'a>> {
        let Some(name) = own["$ref"].as_str() else { return Ok(Field { own, definition: None }) };
        let name = name.rsplit('/').next().unwrap_or_default();
        let definition = self.schema["$defs"].get(name).with_context(|| format!("no definition `{name}`"))?;
        Ok(Field { own, definition: Some((name, definition)) })
    }

    /// Writes the fields below `path`, which is empty for the policy itself.
    fn children(&mut self, path: &str, value: &'a Value) -> Result<()> {
        let field = self.resolve(value)?;
        let required: Vec<&str> = field
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if let Some(fields) = field.get("properties").and_then(Value::as_object) {
            let mut groups: Vec<(&Value, Vec<&str>)> = Vec::new();
            // A forbidden field has the schema `false`.
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_boolean()) {
                match groups.iter_mut().find(|(other, _)| value.get("$ref").is_some() && *other == value) {
                    Some((_, names)) => names.push(name),
                    None => groups.push((value, vec![name])),
                }
            }
            for (value, names) in groups {
                if names.len() >= ALIKE {
                    self.field(&format!("{path}.<built-in>"), value, &names, false)?;
                } else {
                    for name in names {
                        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                        self.field(&path, value, &[], required.contains(&name))?;
                    }
                }
            }
        }
        if let Some(others) = field.get("additionalProperties").filter(|others| others.is_object()) {
            self.field(&format!("{path}.<name>"), others, &[], false)?;
        }
        match field.get("items") {
            Some(items) => self.children(&format!("{path}[]"), items),
            None => Ok(()),
        }
    }

    /// Writes a field, and the fields below it. `names` are the fields that share the heading; empty for one alone.
    fn field(&mut self, path: &str, value: &'a Value, names: &[&str], is_required: bool) -> Result<()> {
        let field = self.resolve(value)?;
        let level = if path.contains(['.', '[']) { "###" } else { "##" };
        let _ = write!(self.text, "\n{level} `{path}`\n\n{}", self.kind(field)?);
        if let Some(default) = field.get("default") {
            let _ = write!(self.text, " Default: `{}`.", plain(default));
        }
        self.text.push_str(if is_required { " **Required.**\n" } else { "\n" });
        if let Some(description) = field.text("description") {
            let _ = writeln!(self.text, "\n{description}");
        }
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let _ = writeln!(self.text, "\nNames: {}.", names.join(", "));
        }
        match field.definition {
            Some((name, definition)) if !field.is_composed() => drop(self.forms.insert(name, definition)),
            _ => {}
        }
        self.children(path, value)
    }

    /// Returns the type of a field as a sentence.
    fn kind(&self, field: Field<'a>) -> Result<String> {
        if let (Some((name, _)), false) = (field.definition, field.is_composed()) {
            return Ok(format!("A value of the form [{name}](#{}).", name.to_ascii_lowercase()));
        }
        if let Some(items) = field.get("items") {
            let of = self.resolve(items)?;
            let kinds = match of.definition {
                Some((name, _)) if !of.is_composed() => {
                    format!(" of values of the form [{name}](#{})", name.to_ascii_lowercase())
                }
                _ => of.get("enum").map(|values| format!(" of {}", listed(values))).unwrap_or_default(),
            };
            return Ok(format!("A list{kinds}."));
        }
        Ok(if field.is_composed() { "An object.".to_owned() } else { scalar(field) })
    }

    fn write_forms(&mut self) {
        self.text.push_str("\n## Forms of values\n");
        for (name, definition) in std::mem::take(&mut self.forms) {
            let field = Field { own: definition, definition: None };
            let _ = writeln!(self.text, "\n### {name}\n\n{}", scalar(field));
            if let Some(description) = field.text("description") {
                let _ = writeln!(self.text, "\n{description}");
            }
        }
    }
}

/// Returns the type of a plain value as a sentence, with its bounds.
fn scalar(field: Field<'_>) -> String {
    if let Some(value) = field.get("const") {
        return format!("`{}`.", plain(value));
    }
    if let Some(values) = field.get("enum") {
        return format!("One of {}.", listed(values));
    }
    let bounds = match (field.get("minimum"), field.get("maximum")) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        _ => String::new(),
    };
    match field.text("type") {
        Some("boolean") => "`true` or `false`.".to_owned(),
        Some("integer") => format!("A whole number{bounds}."),
        _ => "A text.".to_owned(),
    }
}

fn listed(values: &Value) -> String {
    let values: Vec<String> =
        values.as_array().into_iter().flatten().map(|value| format!("`{}`", plain(value))).collect();
    values.join(", ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
