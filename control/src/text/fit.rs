//! Reading parts of a document into types. An error has the path of the field and the kind of the mistake. It quotes no value, which
//! may be a secret in the wrong place.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Error, Segment};

use super::object::Object;

/// The longest name of an unknown field that an error quotes.
const MAX_NAME_BYTES: usize = 32;

/// Reads an object that stands at `place`, such as `tokens[0]`, or at the top where it is empty.
pub(crate) fn read<T: DeserializeOwned>(place: &str, value: &Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map(|Object(read)| read).map_err(|error| told(place, &error))
}

fn told(place: &str, error: &Error<serde_json::Error>) -> String {
    let words = error.inner().to_string();
    let missing = words.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    let is_unknown = words.starts_with("unknown field");
    let mut names: Vec<String> = error.path().iter().map(Segment::to_string).collect();
    names.extend(missing.map(str::to_owned));
    let is_named = names.last().is_some_and(|name| is_word(name));
    if is_unknown && !is_named {
        names.pop();
    }
    let path = names.iter().fold(place.to_owned(), |path, name| match name.strip_prefix('[') {
        None if !path.is_empty() => path + "." + name,
        _ => path + name,
    });
    let why = match (missing, is_unknown, is_named) {
        (Some(_), ..) => return format!("{path} is missing"),
        (None, true, true) => "is no such field",
        (None, true, false) => "has an unknown field",
        (None, false, _) => "is invalid",
    };
    let path = if path.is_empty() { "it" } else { &path };
    // What the parser expects comes last, in words of its own.
    match words.rsplit_once("expected ") {
        Some((_, words)) => format!("{path} {why}: expected {}", of_yaml(words)),
        None => format!("{path} {why}"),
    }
}

/// Returns the words for a type of the parser as people know it from YAML.
fn of_yaml(words: &str) -> &str {
    match words {
        "a sequence" => "a list",
        "a map" => "an object",
        words if words.starts_with("struct ") => "an object",
        words => words,
    }
}

/// Returns true for a name of lower-case letters. No token is one.
fn is_word(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Record {
        label: String,
        models: Option<Vec<String>>,
        kind: Option<Kind>,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        One,
        Two,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Inner {
        count: u32,
    }

    #[test]
    fn a_mistake_is_told_by_its_path_and_its_kind_and_no_value_is_quoted() {
        for (value, told) in [
            (json!({}), "a[0].label is missing"),
            (json!({"label": 1}), "a[0].label is invalid: expected a string"),
            (
                json!({"label": "x", "models": "SECRET, expected SECRET"}),
                "a[0].models is invalid: expected a list",
            ),
            (json!({"label": "x", "models": ["y", {}]}), "a[0].models[1] is invalid: expected a string"),
            (json!({"label": "x", "kind": "SECRET"}), "a[0].kind is invalid: expected `one` or `two`"),
            (json!({"label": "x", "inner": "SECRET"}), "a[0].inner is invalid: expected an object"),
            (json!({"label": "x", "inner": {}}), "a[0].inner.count is missing"),
            (json!({"label": "x", "inner": {"count": -7}}), "a[0].inner.count is invalid: expected u32"),
            (
                json!({"label": "x", "lable": "SECRET"}),
                "a[0].lable is no such field: expected one of `label`, `models`, `kind`, `inner`",
            ),
            (
                json!({"label": "x", "SECRET": 1}),
                "a[0] has an unknown field: expected one of `label`, `models`, `kind`, `inner`",
            ),
            (json!(["SECRET"]), "a[0] is invalid: expected an object"),
        ] {
            assert_eq!(read::<Record>("a[0]", &value).unwrap_err(), told);
        }
        assert_eq!(read::<Record>("", &json!({})).unwrap_err(), "label is missing");
        assert_eq!(read::<Record>("", &json!(7)).unwrap_err(), "it is invalid: expected an object");
    }
}
