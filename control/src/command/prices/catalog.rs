//! All entries of a table in LiteLLM's format that are of a built-in provider: by our names, with their prices.

use std::collections::BTreeMap;

use anyhow::{anyhow, bail};
use keyswap_core::price::{Found, Origin, Part, Price};
use serde_json::{Map, Value};

use super::litellm;
use crate::command::terminal::output::visible;

/// The most entries that an error names.
const MAX_NAMED: usize = 20;

/// The built-in providers by the names that LiteLLM gives them, with the beginnings of their keys.
const PROVIDERS: [(&str, &str, &[&str]); 24] = [
    ("anthropic", "anthropic", &["anthropic/"]),
    ("azure", "azure-openai", &["azure/"]),
    ("azure_text", "azure-openai", &["azure/"]),
    ("baseten", "baseten", &["baseten/"]),
    ("cerebras", "cerebras", &["cerebras/"]),
    ("cloudflare", "workers-ai", &["cloudflare/"]),
    ("codestral", "mistral", &["codestral/"]),
    ("cohere", "cohere", &["cohere/"]),
    ("cohere_chat", "cohere", &["cohere/"]),
    ("deepgram", "deepgram", &["deepgram/"]),
    ("deepseek", "deepseek", &["deepseek/"]),
    ("elevenlabs", "elevenlabs", &["elevenlabs/"]),
    ("fireworks_ai", "fireworks", &["fireworks_ai/accounts/fireworks/models/", "fireworks_ai/"]),
    ("fireworks_ai-embedding-models", "fireworks", &["fireworks_ai/"]),
    ("gemini", "gemini", &["gemini/"]),
    ("groq", "groq", &["groq/"]),
    ("mistral", "mistral", &["mistral/"]),
    ("openai", "openai", &["openai/"]),
    ("openrouter", "openrouter", &["openrouter/"]),
    ("perplexity", "perplexity-ai", &["perplexity/"]),
    ("replicate", "replicate", &["replicate/"]),
    ("text-completion-openai", "openai", &["openai/"]),
    ("vercel_ai_gateway", "vercel", &["vercel_ai_gateway/"]),
    ("xai", "grok", &["xai/"]),
];

/// Beginnings of names that are no part of a model's name: regions of Azure, and qualities and sizes of images.
const QUALIFIERS: [&str; 13] = [
    "apac/",
    "eu/",
    "global-standard/",
    "global/",
    "hd/",
    "high/",
    "low/",
    "medium/",
    "standard/",
    "us-gov/",
    "us/",
    "1024-x-",
    "256-x-",
];

/// Prices by provider and model.
pub(super) struct Catalog(BTreeMap<(&'static str, String), Price>);

impl Catalog {
    /// Reads a table. `since` is the day from which models must be served.
    ///
    /// # Errors
    /// Every entry that cannot be read, by its name.
    pub(super) fn read(table: &[u8], since: &str) -> anyhow::Result<Self> {
        let table: Map<String, Value> = serde_json::from_slice(table).map_err(|error| {
            anyhow!("not an object of models in JSON, at line {} column {}", error.line(), error.column())
        })?;
        let mut prices = BTreeMap::new();
        let mut errors = Vec::new();
        for (key, entry) in &table {
            match price_of(&table, key, entry, since) {
                Ok(Some((provider, name, price))) => _ = prices.entry((provider, name)).or_insert(price),
                Ok(None) => {}
                Err(error) => errors.push(format!("`{}`: {error}", visible(key))),
            }
        }
        if !errors.is_empty() {
            let more = errors.len().saturating_sub(MAX_NAMED);
            errors.truncate(MAX_NAMED);
            let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
            bail!("entries without a readable price:\n{}{more}", errors.join("\n"));
        }
        if prices.is_empty() {
            bail!(
                "no entry has a price of tokens at a built-in provider: is it LiteLLM's `model_prices_and_context_window.json`?"
            );
        }
        Ok(Self(prices))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str, &Price)> {
        self.0.iter().map(|((provider, name), price)| (*provider, name.as_str(), price))
    }

    pub(super) fn get(&self, provider: &str, name: &str) -> Option<&Price> {
        self.iter().find(|(own, model, _)| (*own, *model) == (provider, name)).map(|(.., price)| price)
    }
}

/// Returns whether a price that another rule finds says the same. The price of the provider's own row must be equal; that of
/// another provider may know more kinds of tokens.
pub(super) fn is_covered(provider: &str, price: &Price, found: Option<&Found<'_>>) -> bool {
    let Some(found) = found else { return false };
    let is_own = matches!(found.origin, Origin::Shipped(own) if own == provider);
    let same = |part| price.rate(part, None, 0) == found.price.rate(part, None, 0);
    if is_own { *price == found.price } else { same(Part::Input) && same(Part::Output) }
}

fn price_of(
    table: &Map<String, Value>,
    key: &str,
    entry: &Value,
    since: &str,
) -> Result<Option<(&'static str, String, Price)>, String> {
    let Some(own) = entry.as_object() else { return Err("expected an object".to_owned()) };
    let alias = own.get("alias_of").and_then(Value::as_str);
    let entry = alias.and_then(|target| table.get(target)).and_then(Value::as_object).unwrap_or(own);
    let Some((provider, prefixes)) = provider_of(entry) else { return Ok(None) };
    let name = prefixes.iter().find_map(|prefix| key.strip_prefix(prefix)).unwrap_or(key);
    let is_qualified = QUALIFIERS.iter().any(|qualifier| name.starts_with(qualifier));
    let is_served = entry.get("deprecation_date").and_then(Value::as_str).is_none_or(|date| date >= since);
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    // An alias in another provider's space is not the target's provider's.
    let is_own = alias.is_none() || key != name || !key.contains('/');
    if is_qualified || !is_served || !is_name || !is_own {
        return Ok(None);
    }
    Ok(litellm::read(entry)?.map(|price| (provider, name.to_owned(), price)))
}

fn provider_of(entry: &Map<String, Value>) -> Option<(&'static str, &'static [&'static str])> {
    let name = entry.get("litellm_provider")?.as_str()?;
    if name.starts_with("vertex_ai") {
        return Some(("google-vertex-ai", &["vertex_ai/"]));
    }
    PROVIDERS.iter().find(|(own, ..)| *own == name).map(|(_, provider, prefixes)| (*provider, *prefixes))
}
