//! `keyswap policy import api-key-auth`: the key lists of Envoy, Envoy Gateway and Higress.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use keyswap_core::base::Digest;
use keyswap_core::request::Slot;
use serde_json::Value;

use super::draft::{Draft, Token};
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::input;
use crate::text::yaml;

const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The length in bytes below which a key is reported as guessable.
const SHORT: usize = 12;

/// Create a policy from a list of API keys
///
/// Reads Envoy's `api_key_auth` filter in any configuration, Envoy Gateway's SecurityPolicy with the Secrets that it
/// names, and Higress' `key-auth` plugin, in YAML or JSON, also several documents in a file. Each key becomes a token
/// with the client's name as its label. The keys themselves are not written.
///
/// Such lists do not name providers, so `--provider` is required. Settings that have no counterpart are listed on
/// standard error, one a line. `keyswap token import` imports the resulting tokens into a registry.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy import api-key-auth envoy.yaml --provider openai --provider anthropic > policy.yaml\n  \
     kubectl get securitypolicy,secret -o yaml | keyswap policy import api-key-auth - --provider openai"
))]
pub(crate) struct ApiKeyAuth {
    /// Configurations or manifests to read; `-` reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Provider that every key may call; repeatable
    #[arg(long = "provider", value_name = "PROVIDER", required = true)]
    providers: Vec<String>,
}

/// A key, with its client and its place in the document.
struct Found {
    place: String,
    client: String,
    key: String,
}

/// The keys found in the documents.
#[derive(Default)]
struct Search {
    found: Vec<Found>,
    /// All Secrets: path, name, object. The `SecurityPolicies` that select among them may come later.
    secrets: Vec<(String, String, Value)>,
    /// The names of Secrets that a SecurityPolicy refers to.
    named: BTreeSet<String>,
    has_policy: bool,
    notes: Vec<(String, String)>,
}

impl ApiKeyAuth {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let mut search = Search::default();
        for file in &self.files {
            let name = input::name(file);
            let documents = yaml::parse_all(&input::read(file, MAX_BYTES)?)
                .map_err(|error| anyhow!("{name}: {error}"))?;
            for document in &documents {
                search.walk(document, "");
            }
        }
        search.take_secrets();
        if search.found.is_empty() {
            bail!(
                "no list of keys found: expected `api_key_auth`, a SecurityPolicy with its Secrets, or `key-auth`"
            );
        }
        let mut draft = Draft::default();
        for (place, message) in &search.notes {
            draft.note(place, message);
        }
        for provider in &self.providers {
            draft.credential(provider, &variable(provider));
            draft
                .note(provider, format!("set the provider's own key in the variable {}", variable(provider)));
        }
        for found in search.found {
            let key = bearer(found.key.trim());
            if key.is_empty() {
                draft.note(&found.place, "the key is empty: left out");
                continue;
            }
            if key.len() < SHORT {
                draft
                    .note(&found.place, "the key is short enough to be guessed: replace it with a new token");
            }
            let digest = Digest::of(key.as_bytes());
            draft.add(&found.place, Token::new(&digest, &found.client, self.providers.clone()));
        }
        draft.finish("a list of API keys")
    }
}

impl Search {
    fn walk(&mut self, value: &Value, path: &str) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, &format!("{path}[{index}]"));
                }
            }
            Value::Object(members) => {
                match value.get("kind").and_then(Value::as_str) {
                    Some("Secret") => return self.secret(value, path),
                    Some("SecurityPolicy") => return self.security_policy(value, path),
                    _ => {}
                }
                self.envoy(value, path);
                self.higress(value, path);
                for (name, child) in members {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.walk(child, &path);
                }
            }
            _ => {}
        }
    }

    /// Reads `envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth` and its per-route overrides.
    fn envoy(&mut self, value: &Value, path: &str) {
        let credentials = list(value, "credentials");
        let credentials: Vec<&Value> = credentials.filter(|it| it.get("client").is_some()).collect();
        for (index, credential) in credentials.iter().enumerate() {
            let text =
                |name: &str| credential.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let place = format!("{path}.credentials[{index}]");
            self.found.push(Found { place, client: text("client"), key: text("key") });
        }
        if credentials.is_empty() && value.get("allowed_clients").is_none() {
            return;
        }
        for source in list(value, "key_sources") {
            for (kind, name) in source.as_object().into_iter().flatten() {
                self.note_source(&format!("{path}.key_sources"), kind, name.as_str().unwrap_or_default());
            }
        }
        if list(value, "allowed_clients").next().is_some() {
            let message = "not imported: which clients may use which route; narrow `providers` by hand";
            self.notes.push((format!("{path}.allowed_clients"), message.to_owned()));
        }
    }

    /// Reads Higress' `key-auth`: its consumers and their rules.
    fn higress(&mut self, value: &Value, path: &str) {
        let consumers: Vec<&Value> = list(value, "consumers").collect();
        for (index, consumer) in consumers.iter().enumerate() {
            let place = format!("{path}.consumers[{index}]");
            let client = consumer.get("name").and_then(Value::as_str).unwrap_or_default();
            let one = consumer.get("credential").and_then(Value::as_str);
            for key in one.into_iter().chain(list(consumer, "credentials").filter_map(Value::as_str)) {
                self.found.push(Found {
                    place: place.clone(),
                    client: client.to_owned(),
                    key: key.to_owned(),
                });
            }
        }
        for holder in consumers.into_iter().chain([value]).filter(|it| is_key_auth(it)) {
            let kinds = [("in_header", "header"), ("in_query", "query")];
            let kinds = kinds.into_iter().filter(|(flag, _)| holder.get(flag).is_none_or(|it| *it == true));
            for (_, kind) in kinds {
                let names: Vec<&str> = list(holder, "keys").filter_map(Value::as_str).collect();
                for name in names {
                    self.note_source(&format!("{path}.keys"), kind, name);
                }
            }
        }
        if list(value, "allow").next().is_some() {
            let message = "not imported: which consumers may use which route; narrow `providers` by hand";
            self.notes.push((format!("{path}.allow"), message.to_owned()));
        }
    }

    /// Reads Envoy Gateway's `SecurityPolicy`.
    fn security_policy(&mut self, value: &Value, path: &str) {
        let Some(auth) = value.pointer("/spec/apiKeyAuth") else { return };
        self.has_policy = true;
        let names = list(auth, "credentialRefs").filter_map(|it| it.get("name")?.as_str());
        self.named.extend(names.map(str::to_owned));
        for source in list(auth, "extractFrom") {
            for (member, kind) in [("headers", "header"), ("params", "query"), ("cookies", "cookie")] {
                for name in list(source, member).filter_map(Value::as_str) {
                    self.note_source(&format!("{path}.spec.apiKeyAuth.extractFrom"), kind, name);
                }
            }
        }
    }

    fn secret(&mut self, value: &Value, path: &str) {
        let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        self.secrets.push((path.to_owned(), name.to_owned(), value.clone()));
    }

    /// Reads the keys of the Secrets that a SecurityPolicy names, or of all Secrets where there is no SecurityPolicy.
    fn take_secrets(&mut self) {
        for (path, name, secret) in std::mem::take(&mut self.secrets) {
            let place = format!("Secret {name}");
            if self.has_policy && !self.named.contains(&name) {
                self.notes.push((place, "no SecurityPolicy refers to it: left out".to_owned()));
                continue;
            }
            let plain = secret.get("stringData").and_then(Value::as_object);
            let plain = plain
                .into_iter()
                .flatten()
                .filter_map(|(client, key)| Some((client, key.as_str()?.to_owned())));
            let encoded = secret.get("data").and_then(Value::as_object).into_iter().flatten();
            let encoded = encoded.filter_map(|(client, key)| {
                let key = BASE64_STANDARD.decode(key.as_str()?.trim()).ok()?;
                Some((client, String::from_utf8(key).ok()?))
            });
            let found: Vec<Found> = plain
                .chain(encoded)
                .map(|(client, key)| Found {
                    place: format!("{place} {path}").trim().to_owned(),
                    client: client.clone(),
                    key,
                })
                .collect();
            self.found.extend(found);
        }
    }

    /// Notes a field that callers send their key in, unless it is an auth slot of Keyswap.
    fn note_source(&mut self, place: &str, kind: &str, name: &str) {
        let slot = match kind {
            "header" => name.to_ascii_lowercase(),
            "query" => format!("query:{name}"),
            _ => format!("{kind}:{name}"),
        };
        if Slot::ALL.iter().all(|known| known.name() != slot) {
            let message =
                format!("callers send their key in `{slot}`, which Keyswap does not read: they must move it");
            let note = (place.to_owned(), message);
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }
}

/// Returns true if the object is a `key-auth` configuration that names the fields of keys.
fn is_key_auth(value: &Value) -> bool {
    list(value, "keys").all(Value::is_string)
        && ["in_header", "in_query", "consumers", "credential", "credentials"]
            .iter()
            .any(|it| value.get(it).is_some())
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// Strips the scheme `Bearer`, for lists that hold whole `Authorization` values.
fn bearer(key: &str) -> &str {
    match key.split_at_checked("Bearer ".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("Bearer ") => rest.trim(),
        _ => key,
    }
}

/// Returns the usual variable for a provider's key.
fn variable(provider: &str) -> String {
    format!("{}_API_KEY", provider.to_ascii_uppercase().replace('-', "_"))
}
