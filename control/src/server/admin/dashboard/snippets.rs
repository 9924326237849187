//! Examples of the use of a token: environment variables, coding agents, SDKs.
//!
//! The blocks of agents are files. The book shows the same files, and the tests run the agents with them.

use keyswap_core::identity::{Class, Scope};
use maud::{Markup, html};

use crate::server::proxy_url::ProxyUrl;

/// The address and the token in every example, which stand for the values.
const ADDRESS: &str = "https://llm.example.com";
const TOKEN: &str = "ptk_…";

/// An example.
struct Example {
    name: &'static str,
    /// One of these must be in the scope of the token.
    providers: &'static [&'static str],
    blocks: &'static [Block],
}

/// A text to copy: into a file, or into a shell or a program.
struct Block {
    file: Option<&'static str>,
    text: &'static str,
}

/// Returns the examples for the providers of a token.
pub(super) fn snippets(address: &ProxyUrl, providers: &[String], token: &str) -> Markup {
    let scope = Scope::read(providers);
    let has = |provider: &&str| scope.classes(provider).has(Class::Inference);
    let fitting = EXAMPLES.iter().enumerate().filter(|(_, it)| it.providers.iter().any(&has));
    html! {
        h2 { "Use it" }
        p { "Keyswap is at " code { (address) } "." }
        @for (number, example) in fitting { (snippet(number, example, address, token)) }
    }
}

fn snippet(number: usize, example: &Example, address: &ProxyUrl, token: &str) -> Markup {
    let fill = |text: &str| text.trim_end().replace(ADDRESS, &address.to_string()).replace(TOKEN, token);
    html! {
        section .card {
            h3 { (example.name) }
            @for (place, block) in example.blocks.iter().enumerate() {
                @let id = format!("example-{number}-{place}");
                @let name = block.file.map_or_else(|| example.name.to_owned(), |file| format!("{}, {file}", example.name));
                @if let Some(file) = block.file { p { code { (file) } } }
                pre tabindex="0" role="region" aria-label=(name) { code id=(id) { (fill(block.text)) } }
                button type="button" data-copy=(id) aria-label={ "Copy: " (name) } hidden { "Copy" }
            }
            p role="status" {}
        }
    }
}

const OPENAI: &[&str] = &["openai"];
const ANTHROPIC: &[&str] = &["anthropic"];
const GEMINI: &[&str] = &["gemini"];
const ANY: &[&str] = &["openai", "anthropic", "gemini"];

const fn text(text: &'static str) -> Block {
    Block { file: None, text }
}

const fn file(file: &'static str, text: &'static str) -> Block {
    Block { file: Some(file), text }
}

const EXAMPLES: &[Example] = &[
    Example {
        name: "Environment variables, OpenAI",
        providers: OPENAI,
        blocks: &[text(
            "export OPENAI_BASE_URL=\"https://llm.example.com/v1\"\nexport OPENAI_API_KEY=\"ptk_…\"",
        )],
    },
    Example {
        name: "Environment variables, Anthropic",
        providers: ANTHROPIC,
        blocks: &[text(
            "export ANTHROPIC_BASE_URL=\"https://llm.example.com\"\nexport ANTHROPIC_API_KEY=\"ptk_…\"",
        )],
    },
    Example {
        name: "Claude Code",
        providers: ANTHROPIC,
        blocks: &[text(include_str!("blocks/claude-code.sh"))],
    },
    Example {
        name: "Codex CLI",
        providers: OPENAI,
        blocks: &[
            file("~/.codex/config.toml", include_str!("blocks/codex.toml")),
            text(include_str!("blocks/codex.sh")),
        ],
    },
    Example {
        name: "Gemini CLI",
        providers: GEMINI,
        blocks: &[
            file("~/.gemini/settings.json", include_str!("blocks/gemini.json")),
            text(include_str!("blocks/gemini.sh")),
        ],
    },
    Example {
        name: "OpenCode",
        providers: ANY,
        blocks: &[
            file("~/.config/opencode/opencode.json", include_str!("blocks/opencode.json")),
            text(include_str!("blocks/opencode.sh")),
        ],
    },
    Example {
        name: "Continue",
        providers: ANY,
        blocks: &[
            file("~/.continue/config.yaml", include_str!("blocks/continue.yaml")),
            file("~/.continue/.env", include_str!("blocks/continue.env")),
        ],
    },
    Example {
        name: "Aider, OpenAI",
        providers: OPENAI,
        blocks: &[text(include_str!("blocks/aider-openai.sh"))],
    },
    Example {
        name: "Aider, Anthropic",
        providers: ANTHROPIC,
        blocks: &[text(include_str!("blocks/aider-anthropic.sh"))],
    },
    Example {
        name: "Aider, Gemini",
        providers: GEMINI,
        blocks: &[text(include_str!("blocks/aider-gemini.sh"))],
    },
    Example { name: "Cline", providers: OPENAI, blocks: &[text(include_str!("blocks/cline.sh"))] },
    Example {
        name: "OpenAI, Python",
        providers: OPENAI,
        blocks: &[text(
            "from openai import OpenAI\n\nclient = OpenAI(\n    base_url=\"https://llm.example.com/v1\",\n    \
             api_key=\"ptk_…\",\n)",
        )],
    },
    Example {
        name: "OpenAI, Node",
        providers: OPENAI,
        blocks: &[text(
            "import OpenAI from \"openai\";\n\nconst client = new OpenAI({\n  baseURL: \
             \"https://llm.example.com/v1\",\n  apiKey: \"ptk_…\",\n});",
        )],
    },
    Example {
        name: "Anthropic, Python",
        providers: ANTHROPIC,
        blocks: &[text(
            "from anthropic import Anthropic\n\nclient = Anthropic(\n    base_url=\"https://llm.example.com\",\n    \
             api_key=\"ptk_…\",\n)",
        )],
    },
    Example {
        name: "Anthropic, Node",
        providers: ANTHROPIC,
        blocks: &[text(
            "import Anthropic from \"@anthropic-ai/sdk\";\n\nconst client = new Anthropic({\n  baseURL: \
             \"https://llm.example.com\",\n  apiKey: \"ptk_…\",\n});",
        )],
    },
    Example {
        name: "google-genai, Python",
        providers: GEMINI,
        blocks: &[text(
            "from google import genai\nfrom google.genai import types\n\nclient = genai.Client(\n    \
             api_key=\"ptk_…\",\n    \
             http_options=types.HttpOptions(base_url=\"https://llm.example.com\"),\n)",
        )],
    },
    Example {
        name: "curl",
        providers: OPENAI,
        blocks: &[text("curl https://llm.example.com/v1/models \\\n  -H \"Authorization: Bearer ptk_…\"")],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn page(providers: &[&str], token: &str) -> String {
        let address: ProxyUrl = "https://llm.acme.example".parse().unwrap();
        let providers: Vec<String> = providers.iter().map(ToString::to_string).collect();
        snippets(&address, &providers, token).into_string()
    }

    #[test]
    fn each_provider_in_scope_has_its_examples_with_both_values() {
        let anthropic = page(&["anthropic"], "ptk_1");
        assert!(anthropic.contains("ANTHROPIC_AUTH_TOKEN=&quot;ptk_1&quot;"), "{anthropic}");
        assert!(!anthropic.contains("OPENAI") && !anthropic.contains("Codex"));
        let both = page(&["openai", "gemini"], "ptk_1");
        for text in ["OPENAI_BASE_URL=&quot;https://llm.acme.example/v1&quot;", "Codex CLI", "Gemini CLI"] {
            assert!(both.contains(text), "{text}: {both}");
        }
        for page in [anthropic, both] {
            assert!(!page.contains("llm.example.com") && !page.contains(TOKEN));
        }
        assert!(!page(&["openai:files"], "ptk_1").contains("OPENAI"));
    }

    #[test]
    fn every_block_can_be_copied_and_none_is_markup() {
        let page = page(&["openai", "anthropic", "gemini"], "<b>");
        let blocks: usize = EXAMPLES.iter().map(|example| example.blocks.len()).sum();
        assert_eq!(page.matches("data-copy=").count(), blocks);
        for id in page.split("data-copy=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
        }
        assert!(!page.contains("<b>"), "{page}");
    }
}
