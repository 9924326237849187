//! The runs of agents: package, blocks, question, and the endpoint that must be reached.
//!
//! The tests run each row, and the table of agents in the documentation is generated from the rows.

use std::env;

use super::agent::{Agent, Origin};
use crate::clients::matrix::Provider;

/// The variable that chooses the runs: `all`, or the name of an agent. Unset, the runs of every run of the tests.
const CHOICE: &str = "KEYSWAP_AGENTS";

const RESPONSES: &str = "/v1/responses";

const CLAUDE_CODE: Agent = Agent {
    name: "Claude Code",
    origin: Origin::Npm,
    package: "@anthropic-ai/claude-code",
    command: "claude",
    // The package's own program is put in place by a script, which npm is not allowed to run.
    program: "@anthropic-ai/claude-code-linux-x64/claude",
    files: &[],
    shell: "claude-code.sh",
    question: "-p 'Say hello.'",
    variables: &[("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")],
    provider: Provider::Anthropic,
    target: "/v1/messages?beta=true",
    is_always: true,
};

const CODEX: Agent = Agent {
    name: "Codex CLI",
    origin: Origin::Npm,
    package: "@openai/codex",
    command: "codex",
    program: ".bin/codex",
    files: &[("codex.toml", ".codex/config.toml")],
    shell: "codex.sh",
    question: "exec --skip-git-repo-check 'Say hello.'",
    variables: &[],
    provider: Provider::OpenAi,
    target: RESPONSES,
    is_always: true,
};

const GEMINI: Agent = Agent {
    name: "Gemini CLI",
    origin: Origin::Npm,
    package: "@google/gemini-cli",
    command: "gemini",
    program: ".bin/gemini",
    files: &[("gemini.json", ".gemini/settings.json")],
    shell: "gemini.sh",
    // Without a model, another one is asked for the choice.
    question: "--model gemini-2.5-flash -p 'Say hello.'",
    variables: &[("GEMINI_CLI_TRUST_WORKSPACE", "true")],
    provider: Provider::Gemini,
    target: "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    is_always: true,
};

const OPENCODE: Agent = Agent {
    name: "OpenCode",
    origin: Origin::Npm,
    // Developers install `opencode-ai`, which brings this one, and another for older processors.
    package: "opencode-linux-x64",
    command: "opencode",
    program: "opencode-linux-x64/bin/opencode",
    files: &[("opencode.json", ".config/opencode/opencode.json")],
    shell: "opencode.sh",
    question: "run --model openai/gpt-5 'Say hello.'",
    variables: &[],
    provider: Provider::OpenAi,
    target: RESPONSES,
    is_always: true,
};

const CONTINUE: Agent = Agent {
    name: "Continue",
    origin: Origin::Npm,
    package: "@continuedev/cli",
    command: "cn",
    program: ".bin/cn",
    files: &[("continue.yaml", ".continue/config.yaml"), ("continue.env", ".continue/.env")],
    shell: "continue.sh",
    question: "-p 'Say hello.'",
    variables: &[],
    provider: Provider::OpenAi,
    target: RESPONSES,
    is_always: true,
};

const CLINE: Agent = Agent {
    name: "Cline",
    origin: Origin::MoreOfNpm,
    package: "cline",
    command: "cline",
    program: "@cline/cli-linux-x64/bin/cline",
    files: &[],
    shell: "cline.sh",
    question: "'Say hello.'",
    variables: &[],
    provider: Provider::OpenAi,
    target: RESPONSES,
    is_always: false,
};

const AIDER: Agent = Agent {
    name: "Aider",
    origin: Origin::PyPi,
    package: "aider-chat",
    command: "aider",
    program: "bin/aider",
    files: &[],
    shell: "aider-openai.sh",
    question: "--message 'Say hello.' --no-git --yes-always --no-check-update --no-show-model-warnings \
               --analytics-disable",
    // Without it LiteLLM downloads prices.
    variables: &[("LITELLM_LOCAL_MODEL_COST_MAP", "True")],
    provider: Provider::OpenAi,
    target: "/v1/chat/completions",
    is_always: false,
};

/// The runs.
pub const AGENTS: [Agent; 13] = [
    CLAUDE_CODE,
    CODEX,
    GEMINI,
    OPENCODE,
    Agent {
        question: "run --model anthropic/claude-haiku-4-5 'Say hello.'",
        provider: Provider::Anthropic,
        target: "/v1/messages",
        is_always: false,
        ..OPENCODE
    },
    Agent {
        question: "run --model google/gemini-2.5-flash 'Say hello.'",
        provider: Provider::Gemini,
        target: "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        is_always: false,
        ..OPENCODE
    },
    CONTINUE,
    Agent {
        question: "--model Claude -p 'Say hello.'",
        provider: Provider::Anthropic,
        target: "/v1/messages",
        is_always: false,
        ..CONTINUE
    },
    Agent {
        question: "--model Gemini -p 'Say hello.'",
        provider: Provider::GeminiOpenAi,
        target: "/v1beta/openai/chat/completions",
        is_always: false,
        ..CONTINUE
    },
    CLINE,
    AIDER,
    Agent { shell: "aider-anthropic.sh", provider: Provider::Anthropic, target: "/v1/messages", ..AIDER },
    Agent {
        shell: "aider-gemini.sh",
        provider: Provider::Gemini,
        target: "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        ..AIDER
    },
];

/// Returns the runs that the environment chooses.
pub fn selected() -> Vec<Agent> {
    let choice = env::var(CHOICE).unwrap_or_default();
    let is_chosen = |agent: &Agent| match &*choice {
        "" => agent.is_always,
        "all" => true,
        name => agent.name == name || agent.command == name,
    };
    AGENTS.into_iter().filter(is_chosen).collect()
}
