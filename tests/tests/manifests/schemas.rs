//! Validation of Kubernetes objects with the schemas and the rules in `tests/crds`. An unknown field is an error.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result, ensure};
use jsonschema::Validator;
use keyswap_tests::tools::project_root;
use serde_json::{Map, Value, json};

use crate::rules::Rules;

const METADATA: &str = "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const KEEPS_UNKNOWN: &str = "x-kubernetes-preserve-unknown-fields";

/// The schemas of kinds.
#[derive(Debug)]
pub(crate) struct Schemas {
    /// By API version and kind: the schema that knows no other fields, and the one that has the rules.
    kinds: BTreeMap<(String, String), (Validator, Value)>,
    rules: Rules,
}

impl Schemas {
    /// Reads `tests/crds`.
    pub(crate) fn read() -> Result<Self> {
        let folder = project_root().join("tests/crds");
        let core: Value = serde_json::from_str(&fs::read_to_string(folder.join("kubernetes.json"))?)?;
        let definitions = &core["$defs"];
        let mut kinds = BTreeMap::new();
        for kind in list(&core["kinds"]) {
            let schema = (validator(&kind["schema"], definitions)?, Value::Null);
            kinds.insert(key(&kind["group"], &kind["version"], &kind["kind"])?, schema);
        }
        for file in fs::read_dir(&folder)? {
            let path = file?.path();
            let is_definition = path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains('.'));
            if !is_definition {
                continue;
            }
            let definition: Value = serde_saphyr::from_str(&fs::read_to_string(&path)?)
                .with_context(|| path.display().to_string())?;
            let spec = &definition["spec"];
            for version in list(&spec["versions"]) {
                let rules = &version["schema"]["openAPIV3Schema"];
                let schema = (validator(rules, definitions)?, rules.clone());
                kinds.insert(key(&spec["group"], &version["name"], &spec["names"]["kind"])?, schema);
            }
        }
        Ok(Self { kinds, rules: Rules::default() })
    }

    /// Compiles all rules, and returns their number.
    pub(crate) fn compile_rules(&self) -> Result<usize> {
        let counts = self
            .kinds
            .iter()
            .map(|(kind, (_, schema))| self.rules.compile(schema).with_context(|| format!("{kind:?}")));
        counts.sum()
    }

    /// Validates an object. The error lists all violations.
    pub(crate) fn check(&self, object: &Value) -> Result<()> {
        let name = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let key = (name("apiVersion"), name("kind"));
        let (schema, rules) =
            self.kinds.get(&key).with_context(|| format!("there is no schema for {key:?}"))?;
        let errors = schema.iter_errors(object).map(|error| format!("{}: {error}", error.instance_path()));
        let errors: Vec<String> = errors.chain(self.rules.broken(rules, object)).collect();
        ensure!(errors.is_empty(), "{key:?} `{}`:\n{}", object["metadata"]["name"], errors.join("\n"));
        Ok(())
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn key(group: &Value, version: &Value, kind: &Value) -> Result<(String, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a definition has names");
    let (group, version) = (text(group)?, text(version)?);
    let version = if group.is_empty() { version } else { format!("{group}/{version}") };
    Ok((version, text(kind)?))
}

fn validator(schema: &Value, definitions: &Value) -> Result<Validator> {
    let mut schema = schema.clone();
    let members = schema.as_object_mut().context("a schema is an object")?;
    members.insert("$defs".to_owned(), definitions.clone());
    let properties = members.entry("properties").or_insert_with(|| json!({}));
    let properties = properties.as_object_mut().context("properties are an object")?;
    for name in ["apiVersion", "kind"] {
        properties.insert(name.to_owned(), json!({"type": "string"}));
    }
    properties.insert("metadata".to_owned(), json!({"$ref": METADATA}));
    close(&mut schema);
    jsonschema::validator_for(&schema).map_err(|error| anyhow::anyhow!("a schema is none: {error}"))
}

/// Forbids unknown properties in a schema, unless it preserves them.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let keeps = members.get(KEEPS_UNKNOWN) == Some(&Value::Bool(true));
            let is_object = members.get("properties").is_some_and(Value::is_object);
            let is_open = is_object && !members.contains_key("additionalProperties") && !keeps;
            members.values_mut().for_each(close);
            if is_open && !is_map_of_properties(members) {
                members.insert("additionalProperties".to_owned(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Returns true for a map of properties: a field may itself be named `properties`.
fn is_map_of_properties(members: &Map<String, Value>) -> bool {
    members.get("type").is_none_or(|kind| !kind.is_string() && !kind.is_array())
        && !members.contains_key("$defs")
}
