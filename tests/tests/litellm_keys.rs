//! Every key of a real LiteLLM proxy, imported: through Keyswap it reaches what it reached there, or less, with a line.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    Envoy, Received, Request, Standin,
    docs::{self, UPDATE},
    litellm::{self, Compared, Reach, Recorded},
};
use serde_json::json;

/// A provider of the configuration: its host, the variable of its key, and the paths of its endpoints.
struct Provider {
    name: &'static str,
    host: &'static str,
    variable: &'static str,
    chat: &'static str,
    embeddings: &'static str,
}

const fn provider(
    name: &'static str,
    host: &'static str,
    variable: &'static str,
    chat: &'static str,
    embeddings: &'static str,
) -> Provider {
    Provider { name, host, variable, chat, embeddings }
}

const PROVIDERS: [Provider; 6] = [
    provider("openai", "api.openai.com", "OPENAI_API_KEY", "/v1/chat/completions", "/v1/embeddings"),
    provider("anthropic", "api.anthropic.com", "ANTHROPIC_API_KEY", "/v1/messages", ""),
    provider("groq", "api.groq.com", "GROQ_API_KEY", "/groq/chat/completions", "/groq/embeddings"),
    provider("mistral", "api.mistral.ai", "MISTRAL_API_KEY", "/mistral/v1/chat/completions", ""),
    provider("at-vllm-internal", "vllm.internal", "VLLM_KEY", "/at-vllm-internal/v1/chat/completions", ""),
    provider(
        "azure-openai",
        "acme.openai.azure.com",
        "AZURE_KEY",
        "/azure-openai/MODEL/chat/completions?api-version=2024-10-21",
        "",
    ),
];

/// Providers that serve models of their own only, with the beginnings of the names. They refuse every other model.
const OWN_MODELS: [(&str, &[&str]); 3] =
    [("openai", &["gpt-", "text-embedding-"]), ("anthropic", &["claude-"]), ("mistral", &["mistral-"])];

/// Returns the models that their providers have, of those that arrived.
fn served(models: &BTreeSet<String>) -> BTreeSet<String> {
    let is_served = |arrived: &&String| {
        let (provider, model) = arrived.split_once(": ").unwrap_or_default();
        let own = OWN_MODELS.iter().find(|(name, _)| *name == provider);
        own.is_none_or(|(_, names)| names.iter().any(|name| model.starts_with(name)))
    };
    models.iter().filter(is_served).cloned().collect()
}

impl Provider {
    /// Returns the requests for a model.
    fn requests(&self, model: &str, key: &str) -> Vec<Request> {
        let messages = json!([{"role": "user", "content": "Hi"}]);
        let chat = json!({"model": model, "max_tokens": 5, "messages": messages});
        let chat = Request::post(self.chat.replace("MODEL", model), &chat).bearer(key);
        let embeddings = json!({"model": model, "input": "Hi"});
        let embeddings = Request::post(self.embeddings, &embeddings).bearer(key);
        let embeddings = (model.contains("embedding") && !self.embeddings.is_empty()).then_some(embeddings);
        [chat].into_iter().chain(embeddings).collect()
    }

    /// Returns the model of a request that arrived. It must be at the provider's host, with no other key than the provider's.
    fn model(&self, received: &Received) -> Result<String> {
        ensure!(received.header("host") == Some(self.host), "at another host: {received:?}");
        let credentials = received.credentials();
        ensure!(credentials.len() == 1, "not the one credential: {received:?}");
        ensure!(credentials[0].ends_with(&format!("real-{}", self.name)), "another key: {received:?}");
        let in_path =
            received.target.split_once("/deployments/").and_then(|(_, rest)| rest.split('/').next());
        let body: serde_json::Value = serde_json::from_slice(&received.body)?;
        in_path.or_else(|| body["model"].as_str()).map(str::to_owned).context("a model")
    }
}

#[test]
fn a_key_of_a_real_litellm_reaches_no_more_through_keyswap_and_less_only_with_a_line() -> Result<()> {
    let recorded = Recorded::read()?;
    let imported = recorded.import()?;
    let hosts: Vec<&str> = PROVIDERS.iter().map(|provider| provider.host).collect();
    let standin = Standin::start_with(0, &hosts)?;
    let mut setup = Envoy::with(&imported.policy).upstream_hosts(hosts).upstream(&standin);
    for provider in PROVIDERS {
        setup = setup.env(provider.variable, &format!("real-{}", provider.name));
    }
    let envoy = setup.start()?;
    let mut compared = BTreeMap::new();
    for (alias, _) in litellm::keys()? {
        let mut keyswap = BTreeSet::new();
        for (provider, model) in
            PROVIDERS.iter().flat_map(|it| recorded.probed.iter().map(move |model| (it, model)))
        {
            for request in provider.requests(model, &litellm::key(&alias)) {
                let response = envoy.send(&request)?;
                for received in standin.take() {
                    let arrived = provider.model(&received).with_context(|| alias.clone())?;
                    ensure!(arrived == *model, "{alias}: {arrived} in the place of {model}");
                    keyswap.insert(format!("{}: {model}", provider.name));
                }
                ensure!([200, 400, 401, 403, 404].contains(&response.status), "{alias}: {}", response.text());
            }
        }
        let keyswap = served(&keyswap);
        let reach = recorded.reach.get(&alias).context("every key was recorded")?;
        let litellm = Reach { models: served(&reach.models), passed: served(&reach.passed) };
        let place = format!(" ({alias}): ");
        let lines = imported.lines.iter().filter_map(|line| Some(line.split_once(&place)?.1.to_owned()));
        compared.insert(alias, Compared { litellm, keyswap, lines: lines.collect() });
    }
    // One line is about what every key reached by pass-through routes.
    ensure!(imported.lines.iter().any(|line| line.contains("pass-through")), "{:#?}", imported.lines);
    for (alias, key) in &compared {
        let Compared { litellm, keyswap, lines } = key;
        let mut there = litellm.models.union(&litellm.passed);
        let here_only: Vec<_> =
            keyswap.iter().filter(|model| !there.clone().any(|it| it == *model)).collect();
        ensure!(here_only.is_empty(), "{alias} got wider: {here_only:?}");
        let is_narrower = there.any(|model| !keyswap.contains(model) && litellm.models.contains(model));
        ensure!(!is_narrower || !lines.is_empty(), "{alias} got narrower without a line: {key:#?}");
    }
    let same = compared.values().filter(|key| key.litellm.models.is_subset(&key.keyswap)).count();
    ensure!(
        compared.len() >= 40 && same * 3 > compared.len() * 2,
        "{same} of {} are the same",
        compared.len()
    );
    if docs::is_update() {
        litellm::write_compared(&compared)?;
    }
    ensure!(litellm::compared()? == compared, "the comparison is out of date: run this test with {UPDATE}=1");
    Ok(())
}
