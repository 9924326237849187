//! The models of a LiteLLM proxy, as providers with their credentials.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::draft::Draft;

/// The providers: name in LiteLLM, name in a policy, variable of the key that LiteLLM reads by default.
const PROVIDERS: [(&str, &str, &str); 22] = [
    ("openai", "openai", "OPENAI_API_KEY"),
    ("text-completion-openai", "openai", "OPENAI_API_KEY"),
    ("anthropic", "anthropic", "ANTHROPIC_API_KEY"),
    ("gemini", "gemini", "GEMINI_API_KEY"),
    ("azure", "azure-openai", "AZURE_API_KEY"),
    ("groq", "groq", "GROQ_API_KEY"),
    ("openrouter", "openrouter", "OPENROUTER_API_KEY"),
    ("xai", "grok", "XAI_API_KEY"),
    ("mistral", "mistral", "MISTRAL_API_KEY"),
    ("deepseek", "deepseek", "DEEPSEEK_API_KEY"),
    ("perplexity", "perplexity-ai", "PERPLEXITYAI_API_KEY"),
    ("cerebras", "cerebras", "CEREBRAS_API_KEY"),
    ("cohere", "cohere", "COHERE_API_KEY"),
    ("cohere_chat", "cohere", "COHERE_API_KEY"),
    ("fireworks_ai", "fireworks", "FIREWORKS_AI_API_KEY"),
    ("huggingface", "huggingface", "HUGGINGFACE_API_KEY"),
    ("replicate", "replicate", "REPLICATE_API_KEY"),
    ("baseten", "baseten", "BASETEN_API_KEY"),
    ("elevenlabs", "elevenlabs", "ELEVENLABS_API_KEY"),
    ("deepgram", "deepgram", "DEEPGRAM_API_KEY"),
    ("vercel_ai_gateway", "vercel", "VERCEL_AI_GATEWAY_API_KEY"),
    ("workers_ai", "workers-ai", "CLOUDFLARE_API_KEY"),
];

/// Kinds of servers that speak OpenAI's dialect at an address of the operator's own.
const SELF_HOSTED: [&str; 6] =
    ["openai", "openai_like", "hosted_vllm", "ollama", "ollama_chat", "litellm_proxy"];

/// The models of a LiteLLM proxy, each with its providers.
#[derive(Default)]
pub(super) struct Models {
    by_name: BTreeMap<String, BTreeSet<String>>,
    /// The variables of each provider's keys, with the number of deployments that use each.
    keys: BTreeMap<String, Vec<(String, u32)>>,
}

impl Models {
    /// Reads `model_list`, and adds its providers and credentials to the draft.
    pub(super) fn read(list: &Value, draft: &mut Draft) -> Self {
        let mut models = Self::default();
        for (index, entry) in list.as_array().into_iter().flatten().enumerate() {
            models.add(entry, &format!("model_list[{index}]"), draft);
        }
        for (provider, keys) in &models.keys {
            write_credentials(provider, keys, draft);
        }
        models
    }

    /// Returns every provider.
    pub(super) fn providers(&self) -> Vec<String> {
        self.keys.keys().cloned().collect()
    }

    /// Returns the providers of a model, by the model's name or by a provider's prefix such as `openai/`. Returns
    /// `None` for a model of no imported provider.
    pub(super) fn of(&self, name: &str) -> Option<BTreeSet<String>> {
        if let Some(providers) = self.by_name.get(name) {
            return Some(providers.clone());
        }
        let (_, provider, _) =
            PROVIDERS.iter().find(|(prefix, ..)| name.split('/').next() == Some(prefix))?;
        self.keys.contains_key(*provider).then(|| BTreeSet::from([(*provider).to_owned()]))
    }

    fn add(&mut self, entry: &Value, place: &str, draft: &mut Draft) {
        let params = entry.get("litellm_params").unwrap_or(&Value::Null);
        let text = |name: &str| params.get(name).and_then(Value::as_str);
        let (name, model) = (entry.get("model_name").and_then(Value::as_str), text("model"));
        let (Some(name), Some(model)) = (name, model) else {
            return draft.note(place, "no `model_name` or no `litellm_params.model`: left out");
        };
        let kind = text("custom_llm_provider").unwrap_or_else(|| kind_of(model));
        let base = text("api_base").or_else(|| text("base_url"));
        let Some((provider, default)) = provider(kind, base, place, draft) else { return };
        let variable = variable(text("api_key"), &default, &format!("{place}.litellm_params.api_key"), draft);
        self.by_name.entry(name.to_owned()).or_default().insert(provider.clone());
        let keys = self.keys.entry(provider).or_default();
        match keys.iter_mut().find(|(known, _)| *known == variable) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => keys.push((variable, 1)),
        }
        for unused in ["rpm", "tpm", "max_parallel_requests", "weight", "order"] {
            if params.get(unused).is_some() {
                draft.note(
                    &format!("{place}.litellm_params.{unused}"),
                    "not imported: limits of a deployment",
                );
            }
        }
    }
}

/// Returns the prefix of a model's name, else the provider that LiteLLM assumes for the name.
fn kind_of(model: &str) -> &str {
    match model.split_once('/') {
        Some((kind, _)) => kind,
        None if model.starts_with("claude") => "anthropic",
        None => "openai",
    }
}

/// Returns the policy's provider and the default variable of its key. Returns `None`, with a note, if it has no
/// counterpart.
fn provider(kind: &str, base: Option<&str>, place: &str, draft: &mut Draft) -> Option<(String, String)> {
    let place_of_base = format!("{place}.litellm_params.api_base");
    if base.is_some_and(|base| base.starts_with("os.environ/") || base.contains('@')) {
        draft.note(
            &place_of_base,
            "the address comes from the environment or holds a password: left out, write it as `url`",
        );
        return None;
    }
    let base = base.map(|base| base.trim_end_matches('/').to_owned());
    if let Some(base) =
        base.as_ref().filter(|base| SELF_HOSTED.contains(&kind) && !base.contains("api.openai.com"))
    {
        let id = name_of_host(base);
        let entry = draft.providers.entry(id.clone()).or_default();
        entry.insert("url".to_owned(), json!(base));
        return Some((id.clone(), format!("{}_API_KEY", id.to_ascii_uppercase().replace('-', "_"))));
    }
    let Some((_, id, variable)) = PROVIDERS.iter().find(|(name, ..)| *name == kind).copied() else {
        draft.note(place, format!("the provider `{kind}` is not supported: left out"));
        return None;
    };
    match (id, base) {
        ("azure-openai", Some(base)) => {
            set_url(id, &format!("{base}/openai/deployments"), &place_of_base, draft);
        }
        ("azure-openai", None) => {
            draft.note(place, "an Azure resource needs its address: add `api_base`");
            return None;
        }
        ("vercel" | "workers-ai", _) => {
            draft.note(place, format!("`{id}` is reached through its gateway: write `gateway` by hand"));
            return None;
        }
        (_, Some(base)) if !base.contains("api.openai.com") => set_url(id, &base, &place_of_base, draft),
        _ => {}
    }
    Some((id.to_owned(), variable.to_owned()))
}

/// Sets the address of a built-in provider. A provider has one address, so a second one is only noted.
fn set_url(id: &str, url: &str, place: &str, draft: &mut Draft) {
    let entry = draft.providers.entry(id.to_owned()).or_default();
    let known = entry.entry("url").or_insert_with(|| json!(url));
    if known != url {
        draft.note(place, format!("`{id}` already has another address: add a custom provider for this one"));
    }
}

/// Returns a provider name for a server's address: letters, digits and `-`.
fn name_of_host(url: &str) -> String {
    let host = url.split("://").nth(1).unwrap_or(url);
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let plain = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' };
    let name: String = host.chars().map(plain).take(48).collect();
    format!("at-{}", name.trim_matches('-'))
}

/// Returns the variable that holds a key. A literal key is noted and not written.
fn variable(key: Option<&str>, default: &str, place: &str, draft: &mut Draft) -> String {
    if let Some(variable) = key.and_then(|key| key.strip_prefix("os.environ/")) {
        return variable.to_owned();
    }
    if key.is_some() {
        draft.note(place, format!("a literal key is not imported: set it in the variable {default}"));
    }
    default.to_owned()
}

/// Adds a provider's credentials to the draft. Several share the load, weighted by the number of deployments.
fn write_credentials(provider: &str, keys: &[(String, u32)], draft: &mut Draft) {
    let mut weights = serde_json::Map::new();
    for (index, (variable, count)) in keys.iter().enumerate() {
        let name = if index == 0 { provider.to_owned() } else { format!("{provider}-{}", index + 1) };
        draft.credential(&name, variable);
        weights.insert(name, json!(count));
    }
    if keys.len() > 1 {
        draft
            .providers
            .entry(provider.to_owned())
            .or_default()
            .insert("credentials".to_owned(), weights.into());
    }
}
