//! The providers of another gateway's deployments: one for each address, with the keys that deployments send there.
//!
//! A key is bound to the address that its own deployment names. No deployment's key is pooled with that of another address.

use std::collections::BTreeSet;

use keyswap_core::provider::own_host;
use keyswap_core::syntax::BaseUrl;
use serde_json::{Map, Value, json};

use super::draft::Draft;

/// The greatest number of credentials that a provider of a policy takes, and the greatest weight.
const MAX_CREDENTIALS: usize = 32;
const MAX_WEIGHT: u32 = 1000;

/// The path of Azure's deployments, which stands in front of the client's.
const DEPLOYMENTS: &str = "/openai/deployments";

/// The destination of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// The built-in provider whose API is spoken there.
    pub(super) id: &'static str,
    /// The address; `None` for the provider's own.
    url: Option<String>,
}

/// The key of a deployment.
pub(super) enum Key {
    /// In this environment variable.
    Variable(String),
    /// Literal, so not imported. LiteLLM would look in this variable for another.
    Literal(&'static str),
    /// Left to LiteLLM, which looks in this variable for the provider's own API.
    Usual(&'static str),
}

/// A destination under its name in the policy, with the variables of its keys and the number of deployments that use each.
struct Provider {
    host: Host,
    name: String,
    /// The variable for a key that has none.
    variable: Option<String>,
    keys: Vec<(String, u32)>,
}

/// The destinations in the order of the file.
#[derive(Default)]
pub(super) struct Hosts(Vec<Provider>);

impl Host {
    /// Returns the destination for an address that a deployment names.
    ///
    /// # Errors
    /// An address that no policy takes. The error does not quote it.
    pub(super) fn at(id: &'static str, address: &str) -> Result<Self, &'static str> {
        let url = BaseUrl::parse(address)?;
        if url.https && own_host(id) == Some(url.authority.as_str()) {
            return Ok(Self::own(id));
        }
        let path = match id {
            // The deployment is in the client's path.
            "azure-openai" if url.path.is_empty() || url.path.starts_with(DEPLOYMENTS) => DEPLOYMENTS,
            "anthropic" => url.path.strip_suffix("/v1/messages").unwrap_or(&url.path),
            _ => &url.path,
        };
        Ok(Self { id, url: Some(format!("{}{path}", url.site())) })
    }

    /// Returns the provider's own API.
    pub(super) const fn own(id: &'static str) -> Self {
        Self { id, url: None }
    }

    pub(super) const fn is_own(&self) -> bool {
        self.url.is_none()
    }

    /// Returns the entry of a provider that the policy adds: its address, and the form of its SDK where that is not OpenAI's.
    fn entry(&self) -> Map<String, Value> {
        let form: &[(&str, &str)] = match self.id {
            "anthropic" => &[("auth", "header:x-api-key"), ("dialect", "anthropic")],
            "gemini" => &[("auth", "header:x-goog-api-key"), ("dialect", "google")],
            "azure-openai" => &[("auth", "header:api-key")],
            "elevenlabs" => &[("auth", "header:xi-api-key")],
            "deepgram" => &[("auth", "token")],
            _ => &[],
        };
        let url = [("url", self.url.as_deref().unwrap_or_default())];
        url.iter().chain(form).map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    }
}

impl Hosts {
    /// Names each destination.
    ///
    /// A provider's own API has the provider's name. Another address has it only if it is the only one of that provider;
    /// otherwise it becomes a provider of its own. Servers that speak OpenAI's API are always providers of their own.
    pub(super) fn name(hosts: impl IntoIterator<Item = Host>) -> Self {
        let mut providers: Vec<Provider> = Vec::new();
        let mut names = BTreeSet::new();
        for host in hosts {
            if providers.iter().any(|known| known.host == host) {
                continue;
            }
            let name = match &host.url {
                Some(url) => unique(&name_of(url), &mut names),
                None => host.id.to_owned(),
            };
            let variable = host.url.is_some().then(|| format!("{}_API_KEY", screaming(&name)));
            providers.push(Provider { host, name, variable, keys: Vec::new() });
        }
        let ids: Vec<&str> = providers.iter().map(|provider| provider.host.id).collect();
        for provider in &mut providers {
            let id = provider.host.id;
            if id != "openai" && ids.iter().filter(|other| **other == id).count() == 1 {
                id.clone_into(&mut provider.name);
            }
        }
        Self(providers)
    }

    /// Counts a deployment's key at its destination, and returns the destination's name.
    pub(super) fn add(&mut self, host: &Host, key: Key, place: &str, draft: &mut Draft) -> Option<String> {
        let provider = self.0.iter_mut().find(|known| known.host == *host)?;
        let variable = match (key, &provider.variable) {
            (Key::Variable(variable), _) => variable,
            (Key::Usual(usual), None) => usual.to_owned(),
            (Key::Usual(_), Some(variable)) => {
                let message =
                    format!("the key for this address is not named: set it in the variable {variable}");
                draft.note(place, message);
                variable.clone()
            }
            (Key::Literal(usual), own) => {
                let variable = own.clone().unwrap_or_else(|| usual.to_owned());
                let message = format!("not imported: a literal key; set it in the variable {variable}");
                draft.note(&format!("{place}.litellm_params.api_key"), message);
                variable
            }
        };
        let known = provider.keys.iter_mut().find(|(known, _)| *known == variable);
        if let Some((_, count)) = known {
            *count = count.saturating_add(1).min(MAX_WEIGHT);
        } else if provider.keys.len() < MAX_CREDENTIALS {
            provider.keys.push((variable, 1));
        } else {
            draft.note(place, format!("not imported: a provider has at most {MAX_CREDENTIALS} credentials"));
        }
        Some(provider.name.clone())
    }

    /// Writes each provider with its credentials, weighted by the number of deployments that use each.
    pub(super) fn write(&self, draft: &mut Draft) {
        let mut names: BTreeSet<String> = self.0.iter().map(|provider| provider.name.clone()).collect();
        for provider in &self.0 {
            let mut entry = Map::new();
            if let Some(url) = &provider.host.url {
                let is_added = provider.name != provider.host.id;
                entry = if is_added {
                    provider.host.entry()
                } else {
                    Map::from_iter([("url".to_owned(), json!(url))])
                };
            }
            let mut weights = Map::new();
            for (index, (variable, count)) in provider.keys.iter().enumerate() {
                let name =
                    if index == 0 { provider.name.clone() } else { unique(&provider.name, &mut names) };
                draft.credential(&name, variable);
                weights.insert(name, json!(count));
            }
            if weights.len() > 1 {
                entry.insert("credentials".to_owned(), weights.into());
            }
            if !entry.is_empty() {
                draft.providers.insert(provider.name.clone(), entry);
            }
        }
    }
}

/// Returns the name, with a number behind it where another has the name, and takes it.
fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
    let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
    let free = candidates.find(|candidate| !taken.contains(candidate)).unwrap_or_default();
    taken.insert(free.clone());
    free
}

/// Returns a name for an address: letters, digits and `-`. Addresses may share one.
fn name_of(url: &str) -> String {
    let host = url.split("://").nth(1).unwrap_or(url);
    let host = host.split('/').next().unwrap_or_default();
    let plain = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' };
    let name: String = host.chars().map(plain).take(48).collect();
    format!("at-{}", name.trim_matches('-'))
}

fn screaming(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// Returns whether a text is one label of a host name.
pub(super) fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
}
