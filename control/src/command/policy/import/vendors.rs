//! The built-in providers by the names that other gateways have for them.

use std::collections::BTreeMap;
use std::iter;

use keyswap_core::provider::own_host;

/// The longest part of a secret's name in that of its variable.
const MAX_CHARS: usize = 96;

/// A built-in provider.
pub(super) struct Vendor {
    /// The name in a policy.
    pub(super) id: &'static str,
    /// The usual variable of its key.
    pub(super) variable: &'static str,
    portkey: Option<&'static str>,
    kong: Option<&'static str>,
}

const fn vendor(
    id: &'static str,
    variable: &'static str,
    portkey: Option<&'static str>,
    kong: Option<&'static str>,
) -> Vendor {
    Vendor { id, variable, portkey, kong }
}

/// Gateways reach Hugging Face and Fireworks at other addresses than Keyswap does, so these two have no name here.
const VENDORS: [Vendor; 14] = [
    vendor("openai", "OPENAI_API_KEY", Some("openai"), Some("openai")),
    vendor("anthropic", "ANTHROPIC_API_KEY", Some("anthropic"), Some("anthropic")),
    vendor("gemini", "GEMINI_API_KEY", Some("google"), Some("gemini")),
    vendor("azure-openai", "AZURE_OPENAI_API_KEY", Some("azure-openai"), Some("azure")),
    vendor("groq", "GROQ_API_KEY", Some("groq"), None),
    vendor("openrouter", "OPENROUTER_API_KEY", Some("openrouter"), None),
    vendor("grok", "XAI_API_KEY", Some("x-ai"), None),
    vendor("mistral", "MISTRAL_API_KEY", Some("mistral-ai"), Some("mistral")),
    vendor("deepseek", "DEEPSEEK_API_KEY", Some("deepseek"), None),
    vendor("perplexity-ai", "PERPLEXITY_API_KEY", Some("perplexity-ai"), None),
    vendor("cerebras", "CEREBRAS_API_KEY", Some("cerebras"), None),
    vendor("cohere", "COHERE_API_KEY", Some("cohere"), Some("cohere")),
    vendor("elevenlabs", "ELEVENLABS_API_KEY", None, None),
    vendor("deepgram", "DEEPGRAM_API_KEY", None, None),
];

/// Returns the provider with this name in a policy.
pub(super) fn of_id(id: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.id == id)
}

/// Returns the provider that Portkey has under this name.
pub(super) fn of_portkey(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.portkey == Some(name))
}

/// Returns the provider that Kong has under this name.
pub(super) fn of_kong(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.kong == Some(name))
}

/// Returns the provider whose API is at this host.
pub(super) fn of_host(host: &str) -> Option<&'static Vendor> {
    let is_azure = host.ends_with(".openai.azure.com");
    VENDORS.iter().find(|vendor| match vendor.id {
        "azure-openai" => is_azure,
        id => own_host(id) == Some(host),
    })
}

/// The variables of secrets that another program keeps under a name: one for each, and none for two.
#[derive(Default)]
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Returns the variable of a secret: capital letters, digits and `_`, with `end` behind them. No provider's usual
    /// variable has such an end, so that a key never takes the place of another one.
    pub(super) fn of(&mut self, secret: &str, end: &str) -> String {
        if let Some(known) = self.0.get(secret) {
            return known.clone();
        }
        let plain = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' };
        let plain: String = secret.chars().take(MAX_CHARS).map(plain).collect();
        let begins = if plain.starts_with(|char: char| char.is_ascii_alphabetic()) { "" } else { "N_" };
        let numbered = (2_u32..).map(|number| format!("{begins}{plain}_{number}{end}"));
        let mut candidates = iter::once(format!("{begins}{plain}{end}")).chain(numbered);
        let is_free = |name: &String| self.0.values().all(|taken| taken != name);
        let variable = candidates.find(is_free).unwrap_or_default();
        self.0.insert(secret.to_owned(), variable.clone());
        variable
    }
}
