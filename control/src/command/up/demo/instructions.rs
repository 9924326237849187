//! Commands to try, as a text that a shell can run: titles are comments.

use std::fmt::Write as _;

use super::upstream::Upstream;

/// The SDK releases of the end-to-end tests, so that the printed commands are tested ones.
const PYTHON_SDKS: &str = include_str!("../../../../../tests/clients/python/requirements.in");
const NODE_SDKS: &str = include_str!("../../../../../tests/clients/node/package.json");

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

/// The facts of a first try.
pub(in crate::command::up) struct Facts<'f> {
    /// The token, `None` if it was made in an earlier run.
    pub(in crate::command::up) token: Option<&'f str>,
    pub(in crate::command::up) url: &'f str,
    pub(in crate::command::up) upstream: &'f Upstream,
    /// Labels and values, beside those of the other fields.
    pub(in crate::command::up) others: Vec<(&'static str, String)>,
}

impl Facts<'_> {
    /// Returns the facts, and the commands that work with the upstream.
    pub(in crate::command::up) fn text(&self) -> String {
        let mut text = "\nKeyswap is ready.\n\n".to_owned();
        let token = self.token.unwrap_or("as the first run printed it: set KEYSWAP_TOKEN to it");
        let facts = [("proxy token", token.to_owned()), ("base URL", self.url.to_owned())];
        for (name, fact) in facts.iter().chain(&self.others) {
            let _ = writeln!(text, "  {name:<13}{fact}");
        }
        text.push_str("\nCommands to try in another terminal:\n");
        for snippet in SNIPPETS.iter().filter(|snippet| snippet.works_with(self.upstream.providers())) {
            let script = fill(snippet.script, self.url, self.token);
            let _ = write!(text, "\n# --- {}\n{script}\n", snippet.title);
        }
        let standin = self.upstream.is_standin();
        text.push_str("\n# --- Ctrl-C ends everything");
        text.push_str(if standin { ". Requests to the stand-in are shown below.\n" } else { ".\n" });
        text
    }
}

/// Fills a script. Without a token the script takes the token from a variable, and leaves the quotes that hide it.
fn fill(script: &str, url: &str, token: Option<&str>) -> String {
    let script = match token {
        Some(token) => script.replace("{token}", token),
        None => with_variable(script),
    };
    script
        .replace("{url}", url)
        .replace("{python}", &python_packages())
        .replace("{node}", &node_package("openai"))
}

/// Puts the variable in the place of the token, in the syntax of the language that is around the token.
fn with_variable(script: &str) -> String {
    let in_languages = [
        ("'Authorization: Bearer {token}'", "\"Authorization: Bearer $KEYSWAP_TOKEN\""),
        ("'x-api-key: {token}'", "\"x-api-key: $KEYSWAP_TOKEN\""),
        ("'x-goog-api-key: {token}'", "\"x-goog-api-key: $KEYSWAP_TOKEN\""),
        ("api_key=\"{token}\"", "api_key=__import__(\"os\").environ[\"KEYSWAP_TOKEN\"]"),
        ("apiKey: \"{token}\"", "apiKey: process.env.KEYSWAP_TOKEN"),
    ];
    in_languages.iter().fold(script.to_owned(), |script, (from, to)| script.replace(from, to))
}

fn python_packages() -> String {
    let lines = PYTHON_SDKS.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect::<Vec<_>>().join(" ")
}

fn node_package(name: &str) -> String {
    let package: serde_json::Value = serde_json::from_str(NODE_SDKS).unwrap_or_default();
    match package.get("dependencies").and_then(|all| all.get(name)).and_then(serde_json::Value::as_str) {
        Some(version) => format!("{name}@{version}"),
        None => name.to_owned(),
    }
}

impl Snippet {
    fn works_with(&self, providers: &[&str]) -> bool {
        self.needs.iter().all(|provider| providers.contains(provider))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_gets_the_token_or_the_variable_with_it() {
        for snippet in &SNIPPETS {
            for token in [Some("ptk_x"), None] {
                let script = fill(snippet.script, "http://127.0.0.1:1", token);
                assert!(!script.contains("{token}") && !script.contains("{url}"), "{script}");
                let is_in = script.contains(token.unwrap_or("KEYSWAP_TOKEN"));
                assert_eq!(is_in, snippet.script.contains("{token}"), "{script}");
            }
        }
    }
}
