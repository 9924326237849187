//! A call of each provider's API that answers a prompt, for the cases that an import writes.

use keyswap_core::provider::own_host;
use keyswap_core::syntax::BaseUrl;
use serde_json::{Value, json};

/// The built-in providers: the target, with `{}` in the place of a model that stands there, and a model with a price.
const CALLS: [(&str, &str, &str); 22] = [
    ("openai", "/openai/v1/chat/completions", "gpt-5"),
    ("anthropic", "/anthropic/v1/messages", "claude-sonnet-4-5"),
    ("gemini", "/google-ai-studio/v1beta/models/{}:generateContent", "gemini-2.5-flash"),
    (
        "google-vertex-ai",
        "/google-vertex-ai/v1/projects/p/locations/us-east4/publishers/google/models/{}:generateContent",
        "gemini-2.5-flash",
    ),
    ("azure-openai", "/azure-openai/{}/chat/completions?api-version=2024-10-21", "gpt-5"),
    ("groq", "/groq/chat/completions", "llama-3.3-70b-versatile"),
    ("openrouter", "/openrouter/v1/chat/completions", "openai/gpt-5"),
    ("grok", "/grok/v1/chat/completions", "grok-4"),
    ("mistral", "/mistral/v1/chat/completions", "mistral-large-latest"),
    ("deepseek", "/deepseek/chat/completions", "deepseek-chat"),
    ("perplexity-ai", "/perplexity-ai/chat/completions", "sonar"),
    ("cerebras", "/cerebras/v1/chat/completions", "gpt-oss-120b"),
    ("cohere", "/cohere/v2/chat", "command-a-03-2025"),
    ("fireworks", "/fireworks/inference/v1/chat/completions", "accounts/fireworks/models/gpt-oss-120b"),
    ("huggingface", "/huggingface/v1/chat/completions", "openai/gpt-oss-120b"),
    ("replicate", "/replicate/v1/predictions", "a-model"),
    ("baseten", "/baseten/v1/chat/completions", "openai/gpt-oss-120b"),
    ("elevenlabs", "/elevenlabs/v1/text-to-speech/v", "eleven_multilingual_v2"),
    ("cartesia", "/cartesia/tts/bytes", "sonic-2"),
    ("parallel", "/parallel/v1/tasks/runs", "base"),
    ("deepgram", "/deepgram/v1/listen?model={}", "nova-3"),
    ("workers-ai", "/workers-ai/v1/chat/completions", "@cf/meta/llama-3.1-8b-instruct"),
];

/// The targets of a provider that a policy adds, behind its name, by the form of its API.
const ADDED: &str = "/v1/chat/completions";
const ADDED_ANTHROPIC: &str = "/v1/messages";
const ADDED_GOOGLE: &str = "/v1beta/models/{}:generateContent";

/// A call, and the host that gets it.
pub(super) struct Call<'p> {
    pub(super) provider: &'p str,
    target: String,
    pub(super) model: &'p str,
    pub(super) authority: String,
}

/// Returns the call of a provider of a policy; `None` where the import does not know its API or its host.
pub(super) fn of<'p>(policy: &'p Value, provider: &'p str) -> Option<Call<'p>> {
    let entry = policy.get("providers").and_then(|all| all.get(provider));
    let text = |name: &str| entry.and_then(|it| it.get(name)).and_then(Value::as_str);
    let url = match text("url") {
        Some(url) => Some(BaseUrl::parse(url).ok()?.authority),
        None => None,
    };
    let authority = url.or_else(|| own_host(provider).map(str::to_owned))?;
    let built_in = CALLS.iter().find(|(id, ..)| *id == provider);
    let (target, model) = match (built_in, text("dialect")) {
        (Some((_, target, model)), _) => ((*target).to_owned(), *model),
        (None, Some("anthropic")) => (format!("/{provider}{ADDED_ANTHROPIC}"), "claude-sonnet-4-5"),
        (None, Some("google")) => (format!("/{provider}{ADDED_GOOGLE}"), "gemini-2.5-flash"),
        (None, _) => (format!("/{provider}{ADDED}"), "gpt-5"),
    };
    Some(Call { provider, target, model, authority })
}

/// Returns the call of a provider that is not among these: one with a credential in the policy, else a built-in one.
pub(super) fn other<'p>(policy: &'p Value, providers: &[&str]) -> Option<Call<'p>> {
    let known = policy.get("credentials").and_then(Value::as_object).into_iter().flatten();
    let known = known.map(|(name, _)| name.as_str());
    let mut others = known.chain(CALLS.iter().map(|(id, ..)| *id)).filter(|name| !providers.contains(name));
    others.find_map(|name| of(policy, name).filter(|_| is_provider(policy, name)))
}

/// Returns whether a name is that of a provider, and not that of a further credential of one.
fn is_provider(policy: &Value, name: &str) -> bool {
    CALLS.iter().any(|(id, ..)| *id == name)
        || policy.get("providers").is_some_and(|all| all.get(name).is_some())
}

impl Call<'_> {
    pub(super) fn target(&self, model: &str) -> String {
        self.target.replace("{}", model)
    }

    pub(super) fn body(&self, model: &str) -> Value {
        if self.target.contains("{}") {
            return json!({});
        }
        json!({"model": model, "messages": [], "max_tokens": 1})
    }

    /// Returns the name of the one credential that requests carry; `None` where there are several.
    pub(super) fn credential(&self, policy: &Value) -> Option<String> {
        let pool = policy.get("providers").and_then(|all| all.get(self.provider)?.get("credentials"));
        pool.is_none().then(|| self.provider.to_owned())
    }
}
