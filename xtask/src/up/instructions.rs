//! Commands to try, as a text that a shell can run: titles are comments.

use std::fmt::Write as _;

use keyswap_tests::Registry;

use super::{proxy::Proxy, upstream::Upstream};

/// The SDK releases of the end-to-end tests, so that the printed commands are tested ones.
const PYTHON_SDKS: &str = include_str!("../../../tests/clients/python/requirements.in");
const NODE_SDKS: &str = include_str!("../../../tests/clients/node/package.json");

/// A command to try. `needs` are the providers that it requires.
struct Snippet {
    title: &'static str,
    needs: &'static [&'static str],
    script: &'static str,
}

const SNIPPETS: [Snippet; 8] = [
    Snippet {
        title: "curl: the OpenAI API",
        needs: &["openai"],
        script: r#"curl {url}/v1/chat/completions \
  -H 'Authorization: Bearer {token}' \
  -H 'Content-Type: application/json' \
  -d '{"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Say hello."}]}'"#,
    },
    Snippet {
        title: "curl: the Anthropic API, as a stream",
        needs: &["anthropic"],
        script: r#"curl -N {url}/v1/messages \
  -H 'x-api-key: {token}' \
  -H 'anthropic-version: 2023-06-01' \
  -H 'Content-Type: application/json' \
  -d '{"model": "claude-haiku-4-5", "max_tokens": 100, "stream": true, "messages": [{"role": "user", "content": "Say hello."}]}'"#,
    },
    Snippet {
        title: "curl: the Gemini API",
        needs: &["gemini"],
        script: r#"curl {url}/v1beta/models/gemini-2.5-flash:generateContent \
  -H 'x-goog-api-key: {token}' \
  -H 'Content-Type: application/json' \
  -d '{"contents": [{"parts": [{"text": "Say hello."}]}]}'"#,
    },
    Snippet {
        title: "curl: an unknown token is refused",
        needs: &[],
        script: "curl -i {url}/v1/models -H 'Authorization: Bearer ptk_unknown'",
    },
    Snippet {
        title: "Python: get the SDKs",
        needs: &[],
        script: "python3 -m venv /tmp/keyswap-python && /tmp/keyswap-python/bin/pip install {python}",
    },
    Snippet {
        title: "Python: OpenAI SDK",
        needs: &["openai"],
        script: r#"/tmp/keyswap-python/bin/python - <<'EOF'
from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key="{token}")
answer = client.chat.completions.create(
    model="gpt-5-mini",
    messages=[{"role": "user", "content": "Say hello."}],
)
print(answer.choices[0].message.content)
EOF"#,
    },
    Snippet {
        title: "Python: Anthropic SDK",
        needs: &["anthropic"],
        script: r#"/tmp/keyswap-python/bin/python - <<'EOF'
from anthropic import Anthropic

client = Anthropic(base_url="{url}", api_key="{token}")
answer = client.messages.create(
    model="claude-haiku-4-5",
    max_tokens=100,
    messages=[{"role": "user", "content": "Say hello."}],
)
print(answer.content[0].text)
EOF"#,
    },
    Snippet {
        title: "Node: OpenAI SDK, as a stream",
        needs: &["openai"],
        script: r#"mkdir -p /tmp/keyswap-node && cd /tmp/keyswap-node && npm install {node} && node --input-type=module - <<'EOF'
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "{url}/v1", apiKey: "{token}" });
const stream = await client.chat.completions.create({
  model: "gpt-5-mini",
  messages: [{ role: "user", content: "Say hello." }],
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
console.log();
EOF"#,
    },
];

pub(super) fn text(proxy: &Proxy, registry: &Registry, upstream: &Upstream, token: &str) -> String {
    let mut text = "\nKeyswap is ready.\n\n".to_owned();
    let facts = [
        ("proxy token", token.to_owned()),
        ("base URL", proxy.url()),
        ("dashboard", format!("{}/admin", registry.url())),
        ("password", format!("{} (of the dashboard, until Ctrl-C)", registry.password())),
        ("upstream", upstream.remark().to_owned()),
    ];
    for (name, fact) in facts.into_iter().chain(proxy.facts()) {
        let _ = writeln!(text, "  {name:<13}{fact}");
    }
    text.push_str("\nCommands to try in another terminal:\n");
    for snippet in SNIPPETS.iter().filter(|snippet| snippet.works_with(upstream.providers())) {
        let script = fill(snippet.script, &proxy.url(), token);
        let _ = write!(text, "\n# --- {}\n{script}\n", snippet.title);
    }
    text.push_str("\n# --- Ctrl-C ends everything");
    text.push_str(if upstream.is_real() { ".\n" } else { ". Requests to the stand-in are shown below.\n" });
    text
}

fn fill(script: &str, url: &str, token: &str) -> String {
    script
        .replace("{url}", url)
        .replace("{token}", token)
        .replace("{python}", &python_packages())
        .replace("{node}", &node_package("openai"))
}

fn python_packages() -> String {
    let lines = PYTHON_SDKS.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect::<Vec<_>>().join(" ")
}

fn node_package(name: &str) -> String {
    let package: serde_json::Value = serde_json::from_str(NODE_SDKS).unwrap_or_default();
    match package["dependencies"][name].as_str() {
        Some(version) => format!("{name}@{version}"),
        None => name.to_owned(),
    }
}

impl Snippet {
    fn works_with(&self, providers: &[&str]) -> bool {
        self.needs.iter().all(|provider| providers.contains(provider))
    }
}
