//! Examples of the use of a token: environment variables, coding agents, SDKs.

use keyswap_core::identity::{Class, Scope};
use maud::{Markup, html};

use crate::server::proxy_url::ProxyUrl;

/// Returns the examples for the providers of a token.
pub(super) fn snippets(address: &ProxyUrl, providers: &[String], token: &str) -> Markup {
    html! {
        h2 { "Use it" }
        p { "Keyswap is at " code { (address) } "." }
        @for (name, text) in texts(providers) { (snippet(name, &fill(text, address, token))) }
    }
}

fn snippet(name: &str, text: &str) -> Markup {
    html! { section .card { h3 { (name) } pre tabindex="0" role="region" aria-label=(name) { code { (text) } } } }
}

fn fill(text: &str, address: &ProxyUrl, token: &str) -> String {
    text.replace("{address}", &address.to_string()).replace("{token}", token)
}

/// Returns names and texts, in which `{address}` and `{token}` stand for the values.
fn texts(providers: &[String]) -> Vec<(&'static str, &'static str)> {
    let scope = Scope::read(providers);
    let has = |name: &str| scope.classes(name).has(Class::Inference);
    let of = |name: &str, texts: &'static [(&'static str, &'static str)]| if has(name) { texts } else { &[] };
    [of("openai", OPENAI), of("anthropic", ANTHROPIC), of("gemini", GEMINI)].concat()
}

const OPENAI: &[(&str, &str)] = &[
    (
        "Environment variables, OpenAI",
        "export OPENAI_BASE_URL=\"{address}/v1\"\nexport OPENAI_API_KEY=\"{token}\"",
    ),
    (
        "Codex CLI",
        "# ~/.codex/config.toml\nmodel_provider = \"keyswap\"\n\n[model_providers.keyswap]\nname = \"Keyswap\"\n\
         base_url = \"{address}/v1\"\nenv_key = \"KEYSWAP_TOKEN\"\nwire_api = \"responses\"\n\
         supports_websockets = false\n\n# in the shell\nexport KEYSWAP_TOKEN=\"{token}\"",
    ),
    (
        "OpenAI, Python",
        "from openai import OpenAI\n\nclient = OpenAI(\n    base_url=\"{address}/v1\",\n    api_key=\"{token}\",\n)",
    ),
    (
        "OpenAI, Node",
        "import OpenAI from \"openai\";\n\nconst client = new OpenAI({\n  baseURL: \"{address}/v1\",\n  \
         apiKey: \"{token}\",\n});",
    ),
    ("curl", "curl {address}/v1/models \\\n  -H \"Authorization: Bearer {token}\""),
];

const ANTHROPIC: &[(&str, &str)] = &[
    (
        "Environment variables, Anthropic",
        "export ANTHROPIC_BASE_URL=\"{address}\"\nexport ANTHROPIC_API_KEY=\"{token}\"",
    ),
    (
        "Claude Code",
        "export ANTHROPIC_BASE_URL=\"{address}\"\nexport ANTHROPIC_AUTH_TOKEN=\"{token}\"\nunset ANTHROPIC_API_KEY\nclaude",
    ),
    (
        "Anthropic, Python",
        "from anthropic import Anthropic\n\nclient = Anthropic(\n    base_url=\"{address}\",\n    api_key=\"{token}\",\n)",
    ),
    (
        "Anthropic, Node",
        "import Anthropic from \"@anthropic-ai/sdk\";\n\nconst client = new Anthropic({\n  baseURL: \"{address}\",\n  \
         apiKey: \"{token}\",\n});",
    ),
];

const GEMINI: &[(&str, &str)] = &[
    ("Gemini CLI", "export GOOGLE_GEMINI_BASE_URL=\"{address}\"\nexport GEMINI_API_KEY=\"{token}\"\ngemini"),
    (
        "google-genai, Python",
        "from google import genai\nfrom google.genai import types\n\nclient = genai.Client(\n    api_key=\"{token}\",\n    \
         http_options=types.HttpOptions(base_url=\"{address}\"),\n)",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_in_scope_has_its_examples_with_both_values() {
        let address: ProxyUrl = "https://llm.acme.example".parse().unwrap();
        let all = |providers: &[&str]| {
            let providers: Vec<String> = providers.iter().map(ToString::to_string).collect();
            snippets(&address, &providers, "ptk_1").into_string()
        };
        let anthropic = all(&["anthropic"]);
        assert!(
            anthropic.contains("ANTHROPIC_AUTH_TOKEN=&quot;ptk_1&quot;") && !anthropic.contains("OPENAI")
        );
        let both = all(&["openai", "gemini"]);
        for text in ["OPENAI_BASE_URL=&quot;https://llm.acme.example/v1&quot;", "Codex CLI", "Gemini CLI"] {
            assert!(both.contains(text), "{text}: {both}");
        }
        for page in [anthropic, both] {
            assert!(!page.contains("{address}") && !page.contains("{token}"));
        }
        assert!(!all(&["openai:files"]).contains("OPENAI"));
    }
}
