//! Names of OpenTelemetry's semantic conventions for generative AI.

/// The names of `gen_ai.provider.name` that differ from ours.
const PROVIDERS: [(&str, &str); 8] = [
    ("azure-openai", "azure.ai.openai"),
    ("bedrock", "aws.bedrock"),
    ("gemini", "gcp.gemini"),
    ("google-vertex-ai", "gcp.vertex_ai"),
    ("grok", "x_ai"),
    ("mistral", "mistral_ai"),
    ("perplexity-ai", "perplexity"),
    ("watsonx", "ibm.watsonx.ai"),
];

/// Returns the value of `gen_ai.provider.name` for a provider. One that the conventions do not name keeps its own.
pub(crate) fn provider_name(provider: &str) -> &str {
    PROVIDERS.iter().find(|(own, _)| *own == provider).map_or(provider, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_has_its_name_in_the_conventions_or_its_own() {
        for (provider, name) in [
            ("openai", "openai"),
            ("anthropic", "anthropic"),
            ("gemini", "gcp.gemini"),
            ("google-vertex-ai", "gcp.vertex_ai"),
            ("azure-openai", "azure.ai.openai"),
            ("groq", "groq"),
            ("deepseek", "deepseek"),
            ("cohere", "cohere"),
            ("mistral", "mistral_ai"),
            ("grok", "x_ai"),
            ("perplexity-ai", "perplexity"),
            ("at-vllm-internal", "at-vllm-internal"),
        ] {
            assert_eq!(provider_name(provider), name);
        }
    }
}
