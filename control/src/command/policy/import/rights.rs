//! The models that a key of another gateway may use, by provider, and the list of models that permits a token the same.
//!
//! A policy has one list of models for all providers of a token. So a list says the same only if no provider has a model
//! that the key may use at another provider alone.

use std::collections::{BTreeMap, BTreeSet};

use keyswap_core::syntax::is_line;

use super::list::matches;

/// The pattern of all models of a provider.
pub(super) const ALL: &str = "*";
/// Providers that serve models of their own only, so that they have none of another one of these.
const OWN_MODELS: [&str; 9] =
    ["anthropic", "cohere", "deepgram", "deepseek", "elevenlabs", "gemini", "grok", "mistral", "openai"];
/// The longest name of a model in a policy, in characters.
const MAX_CHARS: usize = 256;

/// The models that a key may use: names and patterns with `*`, as the provider has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights(BTreeMap<String, BTreeSet<String>>);

impl Rights {
    pub(super) fn add(&mut self, provider: &str, pattern: &str) {
        self.0.entry(provider.to_owned()).or_default().insert(pattern.to_owned());
    }

    pub(super) fn extend(&mut self, other: Self) {
        for (provider, patterns) in other.0 {
            self.0.entry(provider).or_default().extend(patterns);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn providers(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn has(&self, provider: &str, pattern: &str) -> bool {
        self.0.get(provider).is_some_and(|patterns| patterns.contains(pattern))
    }

    /// Returns the list of a token with these providers that permits these models and no other; `None` where every model
    /// of the providers is permitted. `relayed` has the built-in providers that the policy sends elsewhere.
    ///
    /// # Errors
    /// The reason for which no list does.
    pub(super) fn list(&self, relayed: &BTreeSet<String>) -> Result<Option<BTreeSet<String>>, String> {
        if self.0.values().all(|patterns| patterns.contains(ALL)) {
            return Ok(None);
        }
        let entries: BTreeSet<&String> = self.0.values().flatten().collect();
        if let Some(odd) = entries.iter().find(|entry| !is_entry(entry)) {
            return Err(format!("a policy cannot name the model `{odd}`"));
        }
        let has_own = |provider: &String| {
            OWN_MODELS.contains(&provider.as_str()) && !relayed.contains(provider.as_str())
        };
        for (provider, own) in &self.0 {
            for entry in &entries {
                let mut owners = self.0.iter().filter(|(_, patterns)| patterns.contains(*entry));
                let is_foreign = !entry.contains('*')
                    && has_own(provider)
                    && owners.clone().all(|(owner, _)| has_own(owner));
                if own.iter().any(|pattern| matches(pattern, entry)) || is_foreign {
                    continue;
                }
                let owner = owners.next().map_or("another provider", |(owner, _)| owner);
                return Err(format!(
                    "it may use `{entry}` at `{owner}` and not at `{provider}`, and a list of models is for all providers"
                ));
            }
        }
        Ok(Some(entries.into_iter().cloned().collect()))
    }
}

/// Returns whether a policy takes a name as that of a model.
fn is_entry(name: &str) -> bool {
    is_line(name, MAX_CHARS)
        && !name.contains(char::is_whitespace)
        && !name.starts_with('!')
        && !name.starts_with("group:")
}
