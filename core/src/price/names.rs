//! The names under which the price of a model is sought, the most exact first.
//!
//! An answer names `gpt-5-2025-08-07` where the request said `gpt-5`, a gateway's endpoint takes `openai/gpt-5`, and Azure
//! sells what OpenAI has. None of these is another price, so each is sought under the other names, too.

/// The longest name that is sought, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Providers by the first segment of a model's name.
const SEGMENTS: [(&str, &str); 22] = [
    ("anthropic", "anthropic"),
    ("azure", "azure-openai"),
    ("azure-openai", "azure-openai"),
    ("cerebras", "cerebras"),
    ("cohere", "cohere"),
    ("deepseek", "deepseek"),
    ("fireworks", "fireworks"),
    ("gemini", "gemini"),
    ("google", "gemini"),
    ("google-ai-studio", "gemini"),
    ("google-vertex-ai", "google-vertex-ai"),
    ("grok", "grok"),
    ("groq", "groq"),
    ("mistral", "mistral"),
    ("mistralai", "mistral"),
    ("openai", "openai"),
    ("perplexity", "perplexity-ai"),
    ("perplexity-ai", "perplexity-ai"),
    ("vertex", "google-vertex-ai"),
    ("workers-ai", "workers-ai"),
    ("x-ai", "grok"),
    ("xai", "grok"),
];

/// Endpoints whose models begin with a provider, and have its price.
const RESELLERS: [&str; 8] = [
    "cloudflare-rest",
    "compat",
    "google-vertex-ai",
    "openrouter",
    "perplexity-ai",
    "replicate",
    "universal",
    "vercel",
];

/// Beginnings of names that are no part of them, by provider.
const PREFIXES: [(&str, &str); 3] =
    [("fireworks", "accounts/fireworks/models/"), ("gemini", "models/"), ("google-vertex-ai", "models/")];

/// Providers that sell the models of others.
const SAME_MODELS: [(&str, &str); 3] =
    [("azure-openai", "openai"), ("google-vertex-ai", "gemini"), ("google-vertex-ai", "anthropic")];

/// Regions in front of the names of Amazon Bedrock.
const REGIONS: [&str; 7] = ["apac.", "au.", "eu.", "global.", "jp.", "us-gov.", "us."];

/// Returns the names under which the price of a model is sought, each with its provider, the most exact first.
pub fn candidates<'m>(provider: &'m str, model: &'m str) -> Vec<(&'m str, &'m str)> {
    if model.len() > MAX_NAME_BYTES {
        return Vec::new();
    }
    let mut found = Vec::new();
    add(&mut found, provider, model);
    if let Some((segment, rest)) = model.split_once('/') {
        let of_segment = SEGMENTS.iter().find(|(own, _)| *own == segment).map(|(_, provider)| *provider);
        if segment == provider || of_segment == Some(provider) {
            add(&mut found, provider, rest);
        } else if let Some(seller) = of_segment.filter(|_| RESELLERS.contains(&provider)) {
            add(&mut found, seller, rest);
        }
    }
    found
}

/// Adds the names of a model at a provider, and at those whose models the provider sells.
fn add<'m>(found: &mut Vec<(&'m str, &'m str)>, provider: &'m str, model: &'m str) {
    let prefix =
        PREFIXES.iter().find_map(|(own, prefix)| model.strip_prefix(prefix).filter(|_| *own == provider));
    let names = [Some(model), prefix, REGIONS.iter().find_map(|region| model.strip_prefix(region))];
    let others = SAME_MODELS.iter().filter(|(own, _)| *own == provider).map(|(_, other)| *other);
    for provider in std::iter::once(provider).chain(others) {
        for name in names.into_iter().flatten() {
            found.push((provider, name));
            found.extend(without_suffix(name).map(|name| (provider, name)));
        }
    }
}

/// Returns the name without its date (`-2025-08-07`, `-20250929`, `@20250929`), without `@default`, or, for a fine-tuned
/// model, without what its owner named it.
fn without_suffix(name: &str) -> Option<&str> {
    if let Some((base, _)) = name.strip_prefix("ft:").and_then(|tuned| tuned.split_once(':')) {
        return name.get(..base.len().saturating_add(3));
    }
    if let Some(name) = name.strip_suffix("@default") {
        return Some(name).filter(|name| !name.is_empty());
    }
    let is_date = |pattern: &str, text: &str| {
        text.len() == pattern.len()
            && text.bytes().zip(pattern.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                b'@' => matches!(byte, b'-' | b'@'),
                _ => byte == form,
            })
    };
    ["-0000-00-00", "@00000000"].into_iter().find_map(|pattern| {
        let (name, suffix) = name.split_at_checked(name.len().checked_sub(pattern.len())?)?;
        (!name.is_empty() && is_date(pattern, suffix)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_sought_under_its_own_name_first_and_then_under_others() {
        for (provider, model, expect) in [
            ("openai", "gpt-5", "openai gpt-5"),
            ("openai", "gpt-5-2025-08-07", "openai gpt-5-2025-08-07, openai gpt-5"),
            ("openai", "openai/gpt-5", "openai openai/gpt-5, openai gpt-5"),
            (
                "openai",
                "ft:gpt-4o-2024-08-06:acme::x",
                "openai ft:gpt-4o-2024-08-06:acme::x, openai ft:gpt-4o-2024-08-06",
            ),
            ("openai", "gpt-4-0613", "openai gpt-4-0613"),
            ("azure-openai", "gpt-5", "azure-openai gpt-5, openai gpt-5"),
            ("anthropic", "claude-x-20250929", "anthropic claude-x-20250929, anthropic claude-x"),
            (
                "google-vertex-ai",
                "claude-x@20250929",
                "google-vertex-ai claude-x@20250929, google-vertex-ai claude-x, gemini claude-x@20250929, gemini claude-x, \
                 anthropic claude-x@20250929, anthropic claude-x",
            ),
            ("gemini", "models/gemini-3", "gemini models/gemini-3, gemini gemini-3"),
            (
                "fireworks",
                "accounts/fireworks/models/x",
                "fireworks accounts/fireworks/models/x, fireworks x",
            ),
            ("groq", "openai/gpt-oss-120b", "groq openai/gpt-oss-120b"),
            (
                "compat",
                "groq/openai/gpt-oss-120b",
                "compat groq/openai/gpt-oss-120b, groq openai/gpt-oss-120b",
            ),
            ("vercel", "xai/grok-4", "vercel xai/grok-4, grok grok-4"),
            (
                "bedrock",
                "us.anthropic.claude-x-20250929-v1:0",
                "bedrock us.anthropic.claude-x-20250929-v1:0, bedrock anthropic.claude-x-20250929-v1:0",
            ),
            ("own", "-2025-08-07", "own -2025-08-07"),
            ("own", "@default", "own @default"),
        ] {
            let found: Vec<String> = candidates(provider, model)
                .iter()
                .map(|(provider, name)| format!("{provider} {name}"))
                .collect();
            assert_eq!(found.join(", "), expect, "{provider} {model}");
        }
        assert!(candidates("openai", &"m".repeat(300)).is_empty());
    }
}
