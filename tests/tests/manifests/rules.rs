//! The rules of a `CustomResourceDefinition` (`x-kubernetes-validations`) in the Common Expression Language, as Kubernetes
//! evaluates them when an object is made: after the defaults of the schema, at every place that has a rule. A rule that cannot
//! be evaluated is broken.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use cel::{Context, Program, extractors::This, objects::Key};
use serde_json::{Map, Value};

const RULES: &str = "x-kubernetes-validations";

/// The functions that rules may call: those of the language, then those that Kubernetes adds.
const FUNCTIONS: [&str; 13] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "duration",
    "int",
    "split",
    "substring",
    "upperAscii",
    "isURL",
    "url",
    "getScheme",
];

/// Words that no field has as its name in an expression (the specification of the language).
const RESERVED: [&str; 20] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
];

/// The compiled rules, by their text.
#[derive(Debug, Default)]
pub(crate) struct Rules(RefCell<HashMap<String, Rc<Program>>>);

impl Rules {
    /// Returns the rules of a schema that an object breaks, each with its place.
    pub(crate) fn broken(&self, schema: &Value, object: &Value) -> Vec<String> {
        let mut object = object.clone();
        put_defaults(schema, &mut object);
        let mut broken = Vec::new();
        self.walk(schema, &object, "", &mut broken);
        broken
    }

    /// Compiles all rules of a schema. A rule that calls an unknown function, or that compares with the object before a change, is an
    /// error. Returns the number of rules.
    pub(crate) fn compile(&self, schema: &Value) -> Result<usize> {
        let children = match schema {
            Value::Object(members) => members.values().collect(),
            Value::Array(items) => items.iter().collect::<Vec<_>>(),
            _ => return Ok(0),
        };
        let mut count = 0;
        for rule in list(&schema[RULES]) {
            let text = rule["rule"].as_str().context("a rule is a text")?;
            let program = self.program(text)?;
            let references = program.references();
            let unknown: Vec<&str> = references
                .functions()
                .into_iter()
                .filter(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()))
                .filter(|name| !FUNCTIONS.contains(name))
                .collect();
            ensure!(unknown.is_empty(), "no test evaluates {unknown:?} of `{text}`");
            ensure!(!references.has_variable("oldSelf"), "no test has an object before a change: `{text}`");
            count += 1;
        }
        for child in children {
            count += self.compile(child)?;
        }
        Ok(count)
    }

    fn program(&self, text: &str) -> Result<Rc<Program>> {
        if let Some(program) = self.0.borrow().get(text) {
            return Ok(program.clone());
        }
        let program = Rc::new(Program::compile(text).with_context(|| format!("`{text}` is no rule"))?);
        self.0.borrow_mut().insert(text.to_owned(), program.clone());
        Ok(program)
    }

    fn walk(&self, schema: &Value, value: &Value, place: &str, broken: &mut Vec<String>) {
        if value.is_null() {
            return;
        }
        for rule in list(&schema[RULES]) {
            if let Err(error) = self.evaluate(rule, schema, value) {
                broken.push(format!("{place}: {error:#}"));
            }
        }
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                self.walk(child(schema, name), value, &format!("{place}/{name}"), broken);
            }),
            Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| {
                self.walk(&schema["items"], value, &format!("{place}/{index}"), broken);
            }),
            _ => {}
        }
    }

    /// Evaluates a rule. The error has the rule's message, and the reason where there is one.
    fn evaluate(&self, rule: &Value, schema: &Value, value: &Value) -> Result<()> {
        let text = rule["rule"].as_str().context("a rule is a text")?;
        let message = || format!("{} (`{text}`)", rule["message"].as_str().unwrap_or("broken"));
        let mut context = context()?;
        context.add_variable_from_value("self", converted(schema, value));
        let result = self.program(text)?.execute(&context).with_context(message)?;
        ensure!(result == cel::Value::Bool(true), "{}", message());
        Ok(())
    }
}

/// Returns the functions that Kubernetes adds to the language.
fn context() -> Result<Context<'static, 'static>> {
    let mut context = Context::default();
    context.add_function("split", |This(text): This<Arc<String>>, separator: Arc<String>| {
        let parts = text.split(separator.as_str()).map(|part| cel::Value::from(part.to_owned()));
        cel::Value::List(Arc::new(parts.collect()))
    })?;
    context.add_function("substring", |This(text): This<Arc<String>>, from: i64, to: i64| {
        let index = |index: i64| usize::try_from(index).unwrap_or(usize::MAX);
        text.chars().take(index(to)).skip(index(from)).collect::<String>()
    })?;
    context.add_function("upperAscii", |This(text): This<Arc<String>>| text.to_ascii_uppercase())?;
    // A URL is a text here: of its parts the rules ask for the scheme alone.
    context.add_function("isURL", |text: Arc<String>| is_url(&text))?;
    context.add_function("url", |text: Arc<String>| text.as_str().to_owned())?;
    context.add_function("getScheme", |This(text): This<Arc<String>>| {
        scheme(&text).unwrap_or_default().to_owned()
    })?;
    Ok(context)
}

/// Tells whether a text is an absolute URI or an absolute path, as Go's `url.ParseRequestURI` has it.
fn is_url(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic()) && (text.starts_with('/') || scheme(text).is_some())
}

/// Returns the scheme of a URI (RFC 3986, section 3.1).
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some(scheme)
}

/// Returns the schema of a member: that of its property, or that of all members of a map.
fn child<'s>(schema: &'s Value, name: &str) -> &'s Value {
    schema["properties"].get(name).unwrap_or(&schema["additionalProperties"])
}

/// Puts the defaults of a schema where an object says nothing.
fn put_defaults(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(default) = property.get("default").filter(|_| !members.contains_key(name)) {
                    members.insert(name.clone(), default.clone());
                }
            }
            members.iter_mut().for_each(|(name, value)| put_defaults(child(schema, name), value));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| put_defaults(&schema["items"], item)),
        _ => {}
    }
}

/// Converts a value to one of the language. Names of fields are escaped, as Kubernetes does it, and those of maps are not.
fn converted(schema: &Value, value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(it) => cel::Value::Bool(*it),
        Value::Number(number) => match number.as_i64().filter(|_| schema["type"] != "number") {
            Some(number) => cel::Value::Int(number),
            None => cel::Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => cel::Value::from(text.clone()),
        Value::Array(items) => {
            cel::Value::List(Arc::new(items.iter().map(|item| converted(&schema["items"], item)).collect()))
        }
        Value::Object(members) => fields(schema, members),
    }
}

fn fields(schema: &Value, members: &Map<String, Value>) -> cel::Value {
    let fields = members.iter().map(|(name, value)| {
        let is_field = schema["properties"].get(name).is_some();
        let key = if is_field { escaped(name) } else { name.clone() };
        (Key::from(key), converted(child(schema, name), value))
    });
    cel::Value::Map(fields.collect::<HashMap<Key, cel::Value>>().into())
}

fn escaped(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    let name = name.replace("__", "__underscores__");
    name.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
