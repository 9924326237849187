//! Coding agents, unmodified and without a terminal, and all that their makers' documents ask of a gateway.
//!
//! An agent is set up by the blocks of the book and calls an Envoy whose policy has a registry and meters: bodies are judged.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    Registry, Request, TOKEN, Testbed,
    agents::{AGENTS, Agent, Machine, selected},
    clients::matrix::Provider,
    docs, with,
};
use serde_json::json;

/// Starts an Envoy whose policy has a registry, for the objects that bodies name, and meters.
fn start() -> Result<(Testbed, Registry)> {
    let registry = Registry::start()?;
    let policy = with(&Testbed::policy(), &json!({"metering": {}, "registry": Testbed::registry()}));
    let testbed = Testbed::with(|standin| {
        Testbed::setup_with(&policy, standin)
            .env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token())
            .registry(registry.address())
            .start()
    })?;
    Ok((testbed, registry))
}

#[test]
fn every_agent_prints_the_answer_of_the_upstream() -> Result<()> {
    let ((testbed, _registry), machine) = (start()?, Machine::start()?);
    let agents = selected();
    ensure!(!agents.is_empty(), "there is no such agent");
    let mut failures = Vec::new();
    for agent in &agents {
        if let Err(error) = answered(&testbed, &machine, agent) {
            testbed.standin.take();
            failures.push(format!("{}, {}: {error:#}", agent.name, agent.target));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

fn answered(testbed: &Testbed, machine: &Machine, agent: &Agent) -> Result<()> {
    agent.packages()?;
    let started = Instant::now();
    let printed = machine.run(agent, &testbed.host.url(), TOKEN)?;
    println!("{}, {}: {:.1?}, others: {:?}", agent.name, agent.target, started.elapsed(), printed.others);
    let answer: String = agent.provider.credential().split_whitespace().collect();
    ensure!(printed.text.contains(&answer), "not the upstream's answer: {}", printed.text);
    let received = testbed.take_clean()?;
    received.iter().try_for_each(|request| agent.provider.check(request))?;
    ensure!(
        received.iter().any(|request| request.target == agent.target),
        "it arrived at {:?}",
        received.iter().map(|request| &request.target).collect::<Vec<_>>()
    );
    Ok(())
}

#[test]
fn the_book_shows_the_blocks_of_every_agent() -> Result<()> {
    let pages = docs::pages()?;
    let page = pages.iter().find(|page| page.path == "docs/start/coding-agents.md").context("no page")?;
    for agent in AGENTS {
        ensure!(page.text.contains(&format!("\n## {}\n", agent.name)), "no heading of {}", agent.name);
        for block in agent.files.iter().map(|(block, _)| *block).chain([agent.shell]) {
            ensure!(page.text.contains(&format!("/blocks/{block} -->\n")), "no block `{block}`");
        }
    }
    Ok(())
}

/// A request that a document says a gateway gets. It must arrive as it was sent, but for the credential.
struct Ask {
    method: &'static str,
    target: &'static str,
    /// The slots with the token.
    slots: &'static [&'static str],
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    provider: Provider,
}

/// Betas and headers of a release that is still to come are among them: a gateway must not know them one by one.
const OF_CLAUDE_CODE: &[(&str, &str)] = &[
    ("anthropic-version", "2023-06-01"),
    ("anthropic-beta", "claude-code-20250219,context-1m-2025-08-07,a-beta-of-tomorrow-2030-01-01"),
    ("anthropic-tomorrow", "1"),
    ("x-claude-code-session-id", "6e13c421-490e-49f0-aca6-c6badeabcc0e"),
    ("x-claude-code-agent-id", "agent-1"),
    ("x-claude-code-parent-agent-id", "agent-0"),
    ("x-claude-code-tomorrow", "1"),
    ("user-agent", "claude-cli/2.1.332 (external, sdk-cli)"),
    ("x-app", "cli"),
    ("content-type", "application/json"),
];

/// The block of attribution stands first in `system`, in an entry of its own. Blanks and unknown fields stay.
const MESSAGE: &str = r#"{ "model": "claude-haiku-4-5","max_tokens":9,  "stream":true,
 "system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1.332.a1b; cc_entrypoint=cli;"},{"type":"text","text":"You are an agent."}],
 "context_management":{"edits":[]},"output_config":{"effort":"high"},"a_field_of_tomorrow":{"b":[1.50e3]},
 "metadata":{"user_id":"{\"session_id\":\"6e13c421\"}"},
 "tools":[{"name":"t","input_schema":{"type":"object"},"defer_loading":true}],
 "messages":[{"role":"user","content":"Hello."}] }"#;

const OF_CODEX: &[(&str, &str)] = &[
    ("session-id", "01a22c1e-aa75-7631-a970-a9670b65ea64"),
    ("thread-id", "01a22c1e-aa75-7631-a970-a9670b65ea64"),
    ("x-client-request-id", "01a22c1e-aa75-7631-a970-a9670b65ea64"),
    ("x-codex-beta-features", "remote_compaction_v2"),
    ("x-codex-turn-metadata", r#"{"turn_id":"01a22c1e","sandbox":"seccomp"}"#),
    ("x-codex-window-id", "01a22c1e-aa75-7631-a970-a9670b65ea64:0"),
    ("originator", "codex_exec"),
    ("user-agent", "codex_exec/0.171.0 (Debian 13; x86_64)"),
    ("accept", "text/event-stream"),
    ("content-type", "application/json"),
];

/// Ids of items and of threads are Codex's own, and name nothing that the provider keeps.
const RESPONSE: &str = r#"{"model":"gpt-5.5","stream":true,"store":false,"include":["reasoning.encrypted_content"],
 "prompt_cache_key":"01a22c1e","client_metadata":{"thread_id":"01a22c1e","session_id":"01a22c1e","x-codex-turn-metadata":"{}"},
 "input":[{"type":"message","id":"msg_01a22c1e","role":"user","content":[{"type":"input_text","text":"Hello."}]},
  {"type":"reasoning","id":"rs_1","encrypted_content":"gAAA","summary":[]},
  {"type":"function_call","id":"fc_1","call_id":"call_1","name":"exec_command","arguments":"{}"},
  {"type":"function_call_output","call_id":"call_1","output":"done"},
  {"type":"compaction","id":"cmp_1","encrypted_content":"gAAA"}]}"#;

const COMPACT: &str = r#"{"model":"gpt-5.5","instructions":"","input":[{"type":"message","id":"msg_01a22c1e","role":"user","content":"Hello."}]}"#;

const BEARER: &[&str] = &["authorization"];
const KEY: &[&str] = &["x-api-key"];

type Text = &'static str;

const fn claude((method, target): (Text, Text), slots: &'static [Text], body: Text) -> Ask {
    Ask { method, target, slots, headers: OF_CLAUDE_CODE, body, provider: Provider::Anthropic }
}

const fn codex((method, target): (Text, Text), body: Text) -> Ask {
    Ask { method, target, slots: BEARER, headers: OF_CODEX, body, provider: Provider::OpenAi }
}

/// The gateway protocol of Claude Code, and custom model providers of Codex.
const ASKS: [Ask; 9] = [
    claude(("POST", "/v1/messages?beta=true"), BEARER, MESSAGE),
    claude(("POST", "/v1/messages?beta=true"), KEY, MESSAGE),
    // A helper's value stands in both.
    claude(("POST", "/v1/messages?beta=true"), &["x-api-key", "authorization"], MESSAGE),
    claude(("POST", "/v1/messages/count_tokens?beta=true"), BEARER, MESSAGE),
    // Discovery of models.
    claude(("GET", "/v1/models?limit=1000"), BEARER, ""),
    claude(("GET", "/v1/models?limit=1000"), KEY, ""),
    codex(("POST", "/v1/responses"), RESPONSE),
    codex(("POST", "/v1/responses/compact"), COMPACT),
    codex(("GET", "/v1/models?client_version=0.171.0"), ""),
];

#[test]
fn all_that_the_documents_of_agents_ask_to_be_passed_on_is_passed_on() -> Result<()> {
    let (testbed, _registry) = start()?;
    for ask in &ASKS {
        let context = || format!("{} {} with {:?}", ask.method, ask.target, ask.slots);
        let mut request = Request::new(ask.method, ask.target).body(ask.body);
        for slot in ask.slots {
            let scheme = if *slot == "authorization" { "Bearer " } else { "" };
            request = request.header(slot, format!("{scheme}{TOKEN}"));
        }
        let request = ask.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let response = testbed.host.send(&request)?;
        ensure!(response.status == 200, "{}: {} {}", context(), response.status, response.text());
        let arrived = testbed.take_last().with_context(context)?;
        ask.provider.check(&arrived).with_context(context)?;
        ensure!(arrived.target == ask.target, "{}: it arrived at {}", context(), arrived.target);
        ensure!(arrived.body == ask.body.as_bytes(), "{}: another body: {arrived:?}", context());
        for (name, value) in ask.headers {
            ensure!(arrived.header(name) == Some(value), "{}: no `{name}`: {arrived:?}", context());
        }
    }
    Ok(())
}

/// Claude Code reads the words of an error, and tries again without the capability that it names.
#[test]
fn an_error_of_the_upstream_reaches_the_agent_as_it_is() -> Result<()> {
    let (testbed, _registry) = start()?;
    let request = Request::new("POST", "/v1/messages?beta=true").body(MESSAGE).bearer(TOKEN);
    let request = OF_CLAUDE_CODE.iter().fold(request, |request, (name, value)| request.header(name, value));
    let response = testbed.host.send(&request.header("x-standin-status", "400"))?;
    let error = json!({
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "the stand-in was asked to answer 400"},
        "request_id": "req_standin",
    });
    ensure!(response.status == 400 && response.json()? == error, "{}", response.text());
    ensure!(response.header("x-keyswap-reason").is_none(), "{}", response.text());
    Ok(())
}

/// A person's own sign-in at the provider beside our token: the token counts, and the sign-in goes no further.
#[test]
fn a_sign_in_of_the_agent_is_not_forwarded_beside_the_token() -> Result<()> {
    const LOGIN: &str = "sk-ant-oat01-of-a-person";
    let (testbed, _registry) = start()?;
    let request = Request::new("POST", "/v1/messages?beta=true").body(MESSAGE).header("x-api-key", TOKEN);
    let request = OF_CLAUDE_CODE.iter().fold(request, |request, (name, value)| request.header(name, value));
    let response = testbed.host.send(&request.bearer(LOGIN))?;
    ensure!(response.status == 200, "{}", response.text());
    let arrived = testbed.take_last()?;
    Provider::Anthropic.check(&arrived)?;
    ensure!(!arrived.contains(LOGIN), "{arrived:?}");
    Ok(())
}

/// The probe at an agent's start is refused in a way that it ignores.
#[test]
fn the_probe_of_claude_code_is_refused_at_once() -> Result<()> {
    let (testbed, _registry) = start()?;
    let status = testbed.host.open(&Request::new("HEAD", "/"))?.status();
    ensure!(status == 401, "{status}");
    ensure!(testbed.standin.take().is_empty(), "it reached the upstream");
    Ok(())
}
