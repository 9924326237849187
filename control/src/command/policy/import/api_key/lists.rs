//! Lists of API keys in the configuration of Envoy and of Higress.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::key::{Found, Kind, note_source};
use super::secrets::{Secrets, is_secret, object_name};
use crate::command::policy::import::draft::Draft;
use crate::command::policy::import::list::{list, place};

/// The keys found in the documents.
#[derive(Default)]
pub(super) struct Search {
    found: Vec<Found>,
    secrets: Secrets,
    /// The clients that a route permits, with the place of each list.
    permitted: BTreeMap<Kind, Vec<(String, BTreeSet<String>)>>,
}

impl Search {
    /// Finds the keys below a value. `path` is its place in the document.
    pub(super) fn walk(&mut self, value: &Value, path: &str, draft: &mut Draft) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, &format!("{path}[{index}]"), draft);
                }
            }
            Value::Object(_) if is_secret(value) => self.secrets.add(value, draft),
            Value::Object(members) => {
                let named = object_name(value);
                let (path, first) = (named.as_deref().unwrap_or(path), self.found.len());
                self.envoy(value, path, draft);
                self.higress(value, path, draft);
                for (name, child) in members {
                    self.walk(child, &place(path, name), draft);
                }
                if value.pointer("/spec/defaultConfigDisable") == Some(&Value::Bool(true)) {
                    for found in self.found.iter_mut().skip(first) {
                        found.faults.push("its plugin is switched off (`defaultConfigDisable`)".to_owned());
                    }
                }
            }
            _ => {}
        }
    }

    /// Returns the keys of all lists. A client that a list of permitted clients leaves out must be looked at.
    pub(super) fn finish(mut self, draft: &mut Draft) -> Vec<Found> {
        self.secrets.take(&mut self.found, draft);
        for found in &mut self.found {
            for (place, clients) in self.permitted.get(&found.kind).into_iter().flatten() {
                if !clients.contains(&found.client) {
                    found.faults.push(format!(
                        "`{place}` does not permit it, and `--provider` may be for that route"
                    ));
                }
            }
        }
        self.found
    }

    /// Reads `envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth` and its per-route overrides.
    fn envoy(&mut self, value: &Value, path: &str, draft: &mut Draft) {
        let credentials: Vec<(usize, &Value)> =
            list(value, "credentials").enumerate().filter(|(_, it)| it.get("client").is_some()).collect();
        let is_filter = match value.get("@type").and_then(Value::as_str) {
            Some(name) => name.contains(".api_key_auth.") && name.contains(".ApiKeyAuth"),
            None => !credentials.is_empty() || value.get("allowed_clients").is_some(),
        };
        if !is_filter {
            return;
        }
        for (index, credential) in credentials {
            self.add(
                Kind::Envoy,
                place(path, &format!("credentials[{index}]")),
                credential,
                "client",
                "key",
                draft,
            );
        }
        for source in list(value, "key_sources") {
            for (kind, name) in source.as_object().into_iter().flatten() {
                note_source(&place(path, "key_sources"), kind, name.as_str().unwrap_or_default(), draft);
            }
        }
        self.permit(Kind::Envoy, value, "allowed_clients", path, draft);
        draft.note_rest(path, value, &["@type", "credentials", "key_sources", "allowed_clients"]);
    }

    /// Reads Higress' `key-auth`: its consumers and their rules.
    ///
    /// Other plugins have consumers as well, with passwords in the place of keys. Only `key-auth` says in which fields keys
    /// are (`keys`), for all consumers or for each.
    fn higress(&mut self, value: &Value, path: &str, draft: &mut Draft) {
        let is_of_plugin = has_keys(value);
        for (index, consumer) in list(value, "consumers").enumerate().filter(|(_, it)| it.is_object()) {
            let place = place(path, &format!("consumers[{index}]"));
            if !is_of_plugin && !has_keys(consumer) {
                let name = consumer.get("name").and_then(Value::as_str).unwrap_or_default();
                draft.note(
                    &format!("{place} ({name})"),
                    "no `keys` says that it is a consumer of `key-auth`, with an API key: left out",
                );
                continue;
            }
            note_sources(consumer, &place, draft);
            if consumer.get("credential").is_some() {
                self.add(Kind::Higress, place.clone(), consumer, "name", "credential", draft);
            }
            for key in list(consumer, "credentials") {
                let one = serde_json::json!({"name": consumer.get("name"), "credential": key});
                self.add(Kind::Higress, place.clone(), &one, "name", "credential", draft);
            }
            draft.note_rest(
                &place,
                consumer,
                &["name", "credential", "credentials", "keys", "in_header", "in_query"],
            );
        }
        if is_of_plugin && value.get("consumers").is_some() {
            note_sources(value, path, draft);
            let read = ["consumers", "keys", "in_header", "in_query", "allow"];
            draft.note_rest(path, value, &read);
        }
        self.permit(Kind::Higress, value, "allow", path, draft);
    }

    fn permit(&mut self, kind: Kind, value: &Value, name: &str, path: &str, draft: &mut Draft) {
        let clients: BTreeSet<String> =
            list(value, name).filter_map(Value::as_str).map(str::to_owned).collect();
        if !clients.is_empty() {
            let place = place(path, name);
            draft.note(&place, "not imported: which clients may use which route; narrow `providers` by hand");
            self.permitted.entry(kind).or_default().push((place, clients));
        }
    }

    fn add(&mut self, kind: Kind, place: String, entry: &Value, client: &str, key: &str, draft: &mut Draft) {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        let client = text(client).unwrap_or_default().to_owned();
        match text(key) {
            Some(key) => {
                let (key, policies, faults) = (key.to_owned(), Vec::new(), Vec::new());
                self.found.push(Found { kind, place, client, key, policies, faults });
            }
            None => draft.leave_out(&format!("{place} ({client})"), &format!("`{key}` is not text")),
        }
    }
}

fn has_keys(value: &Value) -> bool {
    list(value, "keys").next().is_some() && list(value, "keys").all(Value::is_string)
}

fn note_sources(holder: &Value, path: &str, draft: &mut Draft) {
    for (flag, kind) in [("in_header", "header"), ("in_query", "query")] {
        if holder.get(flag).is_none_or(|it| *it == true) {
            for name in list(holder, "keys").filter_map(Value::as_str) {
                note_source(&place(path, "keys"), kind, name, draft);
            }
        }
    }
}
