//! The Secrets from which Envoy Gateway takes API keys: those that a SecurityPolicy of their own namespace names.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::key::{Found, Kind, note_source};
use crate::command::policy::import::draft::{Draft, is_empty};
use crate::command::policy::import::list::list;

/// The members of a SecurityPolicy that do not restrict who may call.
const NOT_RESTRICTING: [&str; 6] =
    ["targetRef", "targetRefs", "targetSelectors", "apiKeyAuth", "cors", "mergeType"];

/// Namespace and name of an object.
type Id = (Option<String>, String);

/// Secrets and the references to them. Either may come first.
#[derive(Default)]
pub(in crate::command::policy::import) struct Secrets {
    /// Set where the import reads the routes that policies are for.
    reads_targets: bool,
    objects: Vec<(Id, Value)>,
    references: Vec<Reference>,
}

/// A Secret that a SecurityPolicy names.
struct Reference {
    place: String,
    secret: Id,
    /// The settings of the SecurityPolicy that restrict its callers beside their key.
    faults: Vec<String>,
}

/// Returns whether the object is one of those that [`Secrets::add`] reads.
pub(in crate::command::policy::import) fn is_secret(value: &Value) -> bool {
    matches!(value.get("kind").and_then(Value::as_str), Some("Secret" | "SecurityPolicy"))
        && ["metadata", "spec", "data", "stringData"].iter().any(|member| value.get(member).is_some())
}

impl Secrets {
    /// Returns an empty list for an import that reads the routes that policies are for.
    pub(in crate::command::policy::import) fn for_routes() -> Self {
        Self { reads_targets: true, ..Self::default() }
    }

    /// Adds a Secret, or the references of a SecurityPolicy.
    pub(in crate::command::policy::import) fn add(&mut self, value: &Value, draft: &mut Draft) {
        match value.get("kind").and_then(Value::as_str) {
            Some("Secret") => self.objects.push((id(value), value.clone())),
            _ => self.add_policy(value, draft),
        }
    }

    fn add_policy(&mut self, value: &Value, draft: &mut Draft) {
        let (namespace, _) = id(value);
        let place = object_name(value).unwrap_or_else(|| "SecurityPolicy".to_owned());
        let Some(auth) = value.pointer("/spec/apiKeyAuth") else {
            if self.reads_targets {
                draft.note(&place, "not imported: it has no `apiKeyAuth`");
            }
            return;
        };
        for source in list(auth, "extractFrom") {
            for (member, kind) in [("headers", "header"), ("params", "query"), ("cookies", "cookie")] {
                for name in list(source, member).filter_map(Value::as_str) {
                    note_source(&place, kind, name, draft);
                }
            }
        }
        let spec = value.get("spec").unwrap_or(&Value::Null);
        let read: &[&str] =
            if self.reads_targets { &["apiKeyAuth", "targetRef", "targetRefs"] } else { &["apiKeyAuth"] };
        draft.note_rest(&place, spec, read);
        draft.note_rest(&format!("{place} apiKeyAuth"), auth, &["credentialRefs", "extractFrom"]);
        let members = spec.as_object().into_iter().flatten();
        let faults: Vec<String> = members
            .filter(|(name, value)| !NOT_RESTRICTING.contains(&name.as_str()) && !is_empty(value))
            .map(|(name, _)| format!("`{name}` of its SecurityPolicy may restrict it as well"))
            .collect();
        for reference in list(auth, "credentialRefs") {
            let text =
                |name: &str| reference.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            let Some(secret) = text("name").filter(|_| text("kind").is_none_or(|kind| kind == "Secret"))
            else {
                draft.note(&place, "`credentialRefs` names something else than a Secret: left out");
                continue;
            };
            if text("namespace").is_some_and(|other| Some(other) != namespace.as_deref()) {
                let message = format!(
                    "the Secret `{secret}` is in another namespace, which Envoy Gateway refuses: left out"
                );
                draft.note(&place, message);
                continue;
            }
            let secret = (namespace.clone(), secret.to_owned());
            self.references.push(Reference { place: place.clone(), secret, faults: faults.clone() });
        }
    }

    /// Moves the keys of the Secrets that a SecurityPolicy names into the list.
    pub(in crate::command::policy::import) fn take(&self, found: &mut Vec<Found>, draft: &mut Draft) {
        for reference in &self.references {
            if self.objects.iter().all(|(id, _)| *id != reference.secret) {
                let message =
                    format!("the Secret `{}` is not in the input: left out", shown(&reference.secret));
                draft.note(&reference.place, message);
            }
        }
        for (id, secret) in &self.objects {
            let place = format!("Secret {}", shown(id));
            let references: Vec<&Reference> = self.references.iter().filter(|it| it.secret == *id).collect();
            if references.is_empty() {
                draft.note(&place, "no SecurityPolicy of its namespace refers to it: left out");
                continue;
            }
            let faults: Vec<String> = references.iter().flat_map(|it| it.faults.clone()).collect();
            for (client, key) in entries(secret) {
                match key {
                    Some(key) => found.push(Found {
                        kind: Kind::EnvoyGateway,
                        place: place.clone(),
                        client: client.clone(),
                        key,
                        policies: references.iter().map(|reference| reference.place.clone()).collect(),
                        faults: faults.clone(),
                    }),
                    None => draft.leave_out(&format!("{place} ({client})"), "the value is not text"),
                }
            }
        }
    }
}

/// Returns the entries of a Secret: `stringData`, which replaces entries of `data` with the same name, and `data`. The
/// value is `None` where it is not text.
fn entries(secret: &Value) -> Vec<(&String, Option<String>)> {
    let members = |name: &str| secret.get(name).and_then(Value::as_object);
    let plain = members("stringData");
    let is_replaced = |client: &String| plain.is_some_and(|plain| plain.contains_key(client));
    let decode = |value: &Value| {
        let bytes = BASE64_STANDARD.decode(value.as_str()?.trim()).ok()?;
        String::from_utf8(bytes).ok()
    };
    let encoded = members("data").into_iter().flat_map(Map::iter);
    let encoded = encoded.filter(|(client, _)| !is_replaced(client)).map(|(client, it)| (client, decode(it)));
    let plain = plain.into_iter().flat_map(Map::iter);
    plain.map(|(client, key)| (client, key.as_str().map(str::to_owned))).chain(encoded).collect()
}

/// Returns kind, namespace and name of an object of Kubernetes.
pub(in crate::command::policy::import) fn object_name(value: &Value) -> Option<String> {
    let kind = value.get("kind").and_then(Value::as_str)?;
    value.pointer("/metadata/name").and_then(Value::as_str)?;
    Some(format!("{kind} {}", shown(&id(value))))
}

fn id(value: &Value) -> Id {
    let text = |name: &str| value.pointer(name).and_then(Value::as_str).map(str::to_owned);
    (text("/metadata/namespace"), text("/metadata/name").unwrap_or_default())
}

fn shown((namespace, name): &Id) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.clone(),
    }
}
