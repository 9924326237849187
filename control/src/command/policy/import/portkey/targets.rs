//! The targets of Portkey's configs: the provider, the address and the key of each.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::command::policy::import::draft::{Draft, is_empty};
use crate::command::policy::import::hosts::{Host, Hosts, Key, is_label};
use crate::command::policy::import::list::{list, place};
use crate::command::policy::import::vendors::{self, Variables, Vendor};

/// The members of a target that are read, and those that say nothing to a policy. The gateway takes each in snake case and
/// in camel case.
const READ: [&str; 7] =
    ["name", "provider", "virtual_key", "api_key", "custom_host", "resource_name", "targets"];

/// The members of a virtual key that limit its use.
const LIMITS: [&str; 4] = ["usage_limits", "rate_limits", "models", "expires_at"];

/// The destinations of all targets.
pub(super) struct Targets {
    /// Portkey's name of the provider of each virtual key.
    slugs: BTreeMap<String, String>,
    variables: Variables,
    /// The virtual keys of the targets.
    used: BTreeSet<String>,
    found: Vec<(String, Host, Key)>,
}

/// A target that is left out. The line about it is written.
struct LeftOut;

impl Targets {
    pub(super) fn new(slugs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            slugs: slugs.into_iter().collect(),
            variables: Variables::default(),
            used: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    /// Returns whether a target has this virtual key.
    pub(super) fn uses(&self, slug: &str) -> bool {
        self.used.contains(slug)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Takes the providers of virtual keys from a document that lists them. Returns false for another document.
    pub(super) fn learn(&mut self, document: &Value, draft: &mut Draft) -> bool {
        let one = document.get("data").filter(|data| data.get("slug").is_some());
        let one = one.or_else(|| document.get("slug").is_some().then_some(document));
        let one = one.filter(|entry| entry.get("config").is_none());
        let mut entries: Vec<&Value> = list(document, "data").chain(list(document, "integrations")).collect();
        entries.extend(one);
        let is_list = !entries.is_empty() || document.get("integrations").is_some();
        for entry in entries {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            let Some(slug) = text("slug") else { continue };
            let Some(provider) = text("provider").or_else(|| text("ai_provider_name")) else {
                draft.note(slug, "the list does not say which provider the virtual key is for");
                continue;
            };
            let limits: Vec<String> = LIMITS
                .iter()
                .filter(|name| entry.get(**name).is_some_and(|it| !is_empty(it)))
                .map(|name| format!("`{name}`"))
                .collect();
            if !limits.is_empty() {
                draft.note(
                    slug,
                    format!("not imported: {}: restrict the tokens that you mint", limits.join(", ")),
                );
            }
            self.slugs.entry(slug.to_owned()).or_insert_with(|| provider.to_owned());
        }
        is_list
    }

    /// Finds the targets of a config. `path` is its place.
    pub(super) fn walk(&mut self, config: &Value, path: &str, draft: &mut Draft) {
        self.walk_below(config, path, None, draft);
    }

    /// Finds the targets of a group. A target without an address of its own has that of its group.
    fn walk_below<'v>(
        &mut self,
        target: &'v Value,
        path: &str,
        inherited: Option<&'v Value>,
        draft: &mut Draft,
    ) {
        let host = member(target, "custom_host").filter(|it| !is_empty(it)).or(inherited);
        let targets = member(target, "targets").filter(|it| !is_empty(it));
        note_rest(target, path, draft);
        let Some(targets) = targets else {
            self.used.extend(slug_of(target).map(str::to_owned));
            if let Ok((vendor, host)) = self.destination(target, host, path, draft) {
                let key = self.key(target, vendor, path, draft);
                self.found.push((path.to_owned(), host, key));
            }
            return;
        };
        let Some(targets) = targets.as_array() else {
            return draft.note(&place(path, "targets"), "no list: left out");
        };
        for name in
            ["provider", "virtual_key", "api_key"].iter().filter(|name| member(target, name).is_some())
        {
            draft.note(&place(path, name), "not imported: its group has targets, which have their own");
        }
        for (index, child) in targets.iter().enumerate() {
            self.walk_below(child, &place(path, &format!("targets[{index}]")), host, draft);
        }
    }

    /// Returns the provider of a target, and its address.
    fn destination(
        &self,
        target: &Value,
        host: Option<&Value>,
        path: &str,
        draft: &mut Draft,
    ) -> Result<(&'static Vendor, Host), LeftOut> {
        let mut left_out = |name: &str, reason: &str| {
            draft.note(&place(path, name), format!("{reason}: left out"));
            LeftOut
        };
        let text = |name: &str| member(target, name).and_then(Value::as_str);
        let slug = slug_of(target);
        let name = text("provider").filter(|name| !name.starts_with('@'));
        let known = slug.and_then(|slug| self.slugs.get(slug));
        let name = match (name, known, slug) {
            (Some(name), Some(known), _) if name != known => {
                return Err(left_out(
                    "provider",
                    &format!("another provider than `{known}`, for which its virtual key is"),
                ));
            }
            (Some(name), ..) => name,
            (None, Some(known), _) => known,
            (None, None, Some(slug)) => {
                let reason = format!("no provider: add `--virtual-key {slug}=PROVIDER`");
                return Err(left_out("virtual_key", &reason));
            }
            (None, None, None) => return Err(left_out("provider", "missing")),
        };
        let (vendor, is_own_server) = match vendors::of_portkey(name) {
            Some(vendor) => (vendor, false),
            None if name == "ollama" => (vendors::of_portkey("openai").ok_or(LeftOut)?, true),
            None => return Err(left_out("provider", &format!("the provider `{name}` is not supported"))),
        };
        let address = match host {
            Some(Value::String(address)) => Some(address.clone()),
            Some(_) => return Err(left_out("custom_host", "not text")),
            None if vendor.id == "azure-openai" => match text("resource_name") {
                Some(resource) if is_label(resource) => Some(format!("https://{resource}.openai.azure.com")),
                Some(_) => return Err(left_out("resource_name", "not the name of a resource")),
                None => {
                    return Err(left_out(
                        "resource_name",
                        "missing: add the provider with its `url` by hand",
                    ));
                }
            },
            None => None,
        };
        match address {
            Some(address) => Host::at(vendor.id, &address)
                .map(|host| (vendor, host))
                .map_err(|error| left_out("custom_host", error)),
            None if is_own_server => {
                Err(left_out("custom_host", "missing, and the provider has no address of its own"))
            }
            None => Ok((vendor, Host::own(vendor.id))),
        }
    }

    /// Returns the key of a target: the one behind its virtual key, or one that is set in place of a literal one.
    fn key(&mut self, target: &Value, vendor: &'static Vendor, path: &str, draft: &mut Draft) -> Key {
        if member(target, "api_key").is_some_and(|key| !is_empty(key)) {
            draft.note(
                &place(path, "api_key"),
                "not imported: a literal key; set it in the variable of its credential",
            );
            return Key::Usual(vendor.variable);
        }
        let Some(slug) = slug_of(target) else {
            draft.note(path, "no key here: set the provider's own in the variable of its credential");
            return Key::Usual(vendor.variable);
        };
        let variable = self.variables.of(slug, "_VIRTUAL_KEY");
        let message = format!("set the provider's key behind `{slug}` in the variable {variable}");
        draft.note_once(&place(path, "virtual_key"), message);
        Key::Variable(variable)
    }

    /// Adds the providers and their credentials to the draft.
    pub(super) fn write(self, draft: &mut Draft) {
        let mut hosts = Hosts::name(self.found.iter().map(|(_, host, _)| host.clone()));
        for (path, host, key) in self.found {
            hosts.add(&host, key, &path, draft);
        }
        hosts.write(draft);
    }
}

/// Returns a member by its name in snake case, or in camel case.
fn member<'v>(target: &'v Value, name: &str) -> Option<&'v Value> {
    target.get(name).or_else(|| target.get(camel(name)))
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut text, word| {
        let mut chars = word.chars();
        text.extend(chars.next().map(|char| char.to_ascii_uppercase()));
        text.extend(chars);
        text
    })
}

/// Returns the virtual key of a target, also where it stands as its provider: `@slug`.
fn slug_of(target: &Value) -> Option<&str> {
    let text = |name: &str| member(target, name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("virtual_key").or_else(|| text("provider")?.strip_prefix('@'))
}

fn note_rest(target: &Value, path: &str, draft: &mut Draft) {
    let read: Vec<String> = READ.iter().flat_map(|name| [(*name).to_owned(), camel(name)]).collect();
    let read: Vec<&str> = read.iter().map(String::as_str).collect();
    draft.note_rest(path, target, &read);
}
