//! The shipped configurations of hosts: the command in the book, the manifest for Spin, the configuration of wash.

use std::{
    env, fs,
    os::unix::fs::symlink,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_core::host::Capabilities;
use keyswap_core::policy::Policy;
use keyswap_tests::{COMPONENT, Request, Standin, TOKEN, WASMTIME_FLAGS, Wash, Wasmtime, tools, with};
use serde_json::{Value, json};

use crate::ensure_old_callers_are_served;

fn shipped_policy() -> Result<Policy> {
    let text = fs::read(tools::project_root().join("component/policy.json"))?;
    let policy = Policy::from_json(&text)?;
    policy.fits(Capabilities::COMPONENT)?;
    Ok(policy)
}

/// The page of the book about the component in Wasmtime.
const PAGE: &str = "docs/deploy/wasmtime.md";

/// Returns the command on the page that begins with these words, on one line.
fn command_of_the_page(begins: &str) -> Result<String> {
    let page = fs::read_to_string(tools::project_root().join(PAGE))?;
    let start = page.find(&format!("\n{begins}")).with_context(|| format!("no `{begins}` in {PAGE}"))?;
    let command = page.get(start + 1..).unwrap_or_default();
    let command = command.split("\n```").next().unwrap_or_default();
    Ok(command.replace("\\\n", " "))
}

#[test]
fn the_command_of_the_book_serves_the_shipped_policy() -> Result<()> {
    shipped_policy()?;
    let command = command_of_the_page("wasmtime serve")?;
    let words: Vec<&str> = command.split_whitespace().collect();
    let has_flags = words.windows(WASMTIME_FLAGS.len()).any(|window| window == WASMTIME_FLAGS);
    ensure!(has_flags, "the tests run Wasmtime with {WASMTIME_FLAGS:?}, {PAGE} with `{command}`");

    let folder = tempfile::tempdir()?;
    symlink(tools::project_root().join("component"), folder.path().join("component"))?;
    fs::create_dir(folder.path().join("target"))?;
    symlink(COMPONENT.path()?, folder.path().join("target/keyswap.wasm"))?;
    let program = tools::wasmtime()?;
    let beside = program.parent().context("Wasmtime is in a folder")?.to_owned();
    let paths = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    let cache = format!("wasmtime serve -C cache-config={}", tools::wasmtime_cache()?.display());
    let command = command.replacen("wasmtime serve", &format!("exec {cache} --addr 127.0.0.1:0"), 1);
    let mut shell = Command::new("bash");
    shell
        .args(["-euc", &command])
        .current_dir(folder.path())
        .env("PATH", env::join_paths([beside].into_iter().chain(paths))?)
        .envs([("OPENAI_API_KEY", "sk-a"), ("ANTHROPIC_API_KEY", "sk-b")])
        .stdout(Stdio::null());
    let wasmtime = Wasmtime::run(shell)?;
    let answer = wasmtime.send(&Request::get("/v1/models").bearer("ptk_nobody-knows-this-one"))?;
    ensure!(answer.header("x-keyswap-reason") == Some("token_invalid"), "{answer:?} {}", wasmtime.log());
    // An older proxy in front, and clients that offer another protocol, are judged like any other.
    for (version, lines) in [("1.0", ""), ("1.1", "connection: upgrade\r\nupgrade: TLS/1.2\r\n")] {
        let head = format!("GET /v1/models HTTP/{version}\r\nhost: llm.example.com\r\n{lines}\r\n");
        let answer = wasmtime.open_raw(head.as_bytes())?;
        ensure!(
            answer.header("x-keyswap-reason") == Some("credential_missing"),
            "{head}: {}",
            answer.status()
        );
    }
    Ok(())
}

#[test]
fn the_manifest_for_spin_names_what_is_there_and_lets_out_to_what_the_policy_needs() -> Result<()> {
    let folder = tools::project_root().join("component");
    let read = "import json, sys, tomllib; print(json.dumps(tomllib.load(open(sys.argv[1], 'rb'))))";
    let mut python = Command::new("python3");
    python.args(["-c", read]).arg(folder.join("spin.toml"));
    let manifest: Value = serde_json::from_str(&tools::run(&mut python, tools::PYTHON_REMEDY)?)?;
    ensure!(manifest["spin_manifest_version"] == 2);
    ensure!(
        manifest["trigger"]["http"][0]["route"] == "/..."
            && manifest["trigger"]["http"][0]["component"] == "keyswap"
    );
    let component = &manifest["component"]["keyswap"];
    ensure!(component["source"] == "../target/keyswap.wasm", "`cargo xtask component` writes another file");
    ensure!(
        component["files"][0] == "policy.json"
            && component["environment"]["KEYSWAP_POLICY"] == "/policy.json"
    );
    let hosts = component["allowed_outbound_hosts"].as_array().context("hosts are listed")?;
    let mut hosts: Vec<&str> = hosts.iter().filter_map(Value::as_str).collect();
    hosts.sort_unstable();
    let needed: Vec<String> = shipped_policy()?.outbound_hosts().into_iter().collect();
    ensure!(hosts == needed, "allowed: {hosts:?}, needed: {needed:?}");
    Ok(())
}

/// The upstream credentials, by their variables.
const CREDENTIALS: [(&str, &str); 2] =
    [("OPENAI_API_KEY", "sk-openai-0123456789"), ("ANTHROPIC_API_KEY", "sk-ant-0123456789")];

#[test]
fn the_configuration_of_wash_serves_the_shipped_policy_and_lets_out_to_what_that_needs() -> Result<()> {
    let configuration = Wash::shipped()?;
    let path = "../target/keyswap.wasm";
    ensure!(configuration["build"]["component_path"] == path, "`cargo xtask component` writes another file");
    let needed: Vec<String> = shipped_policy()?.outbound_hosts().into_iter().collect();
    ensure!(configuration["workload"]["allowedHosts"] == json!(needed), "needed: {needed:?}");

    let policy = fs::read(tools::project_root().join("component/policy.json"))?;
    let wash = Wash::start(&configuration, &serde_json::from_slice(&policy)?, &CREDENTIALS)?;
    let answer = wash.send(&Request::get("/v1/models").bearer("ptk_nobody-knows-this-one"))?;
    ensure!(answer.header("x-keyswap-reason") == Some("token_invalid"), "{answer:?} {}", wash.log());
    Ok(())
}

#[test]
fn wash_carries_requests_with_the_real_credential_to_the_hosts_that_it_is_told_of_and_to_no_other()
-> Result<()> {
    let standin = Standin::start()?;
    let policy = fs::read(tools::project_root().join("component/policy.json"))?;
    let mut policy: Value = serde_json::from_slice(&policy)?;
    policy["tokens"][0]["sha256"] = json!(Digest::of(TOKEN.as_bytes()).to_hex());
    let environment = Wasmtime::with(&policy).upstream(&standin).environment()?;
    let policy: Value =
        serde_json::from_str(environment.get("KEYSWAP_POLICY").context("there is a policy")?)?;
    let hosts = Policy::from_json(policy.to_string().as_bytes())?.outbound_hosts();

    let shipped = Wash::shipped()?;
    let workload = with(&shipped["workload"], &json!({"allowedHosts": hosts}));
    let configuration = with(&shipped, &json!({"workload": workload}));
    let request = Request::post("/v1/chat/completions", &json!({})).bearer(TOKEN);
    let wash = Wash::start(&configuration, &policy, &CREDENTIALS)?;
    let answer = wash.send(&request)?;
    ensure!(answer.status == 200, "{answer:?} {}", wash.log());
    let received = standin.take();
    let received = received.first().context("nothing arrived at the upstream")?;
    ensure!(received.header("authorization") == Some("Bearer sk-openai-0123456789"), "{received:?}");
    ensure_old_callers_are_served(&wash, &standin, TOKEN)?;

    // The shipped configuration permits calls to the providers only, not to the stand-in.
    let wash = Wash::start(&shipped, &policy, &CREDENTIALS)?;
    let answer = wash.send(&request)?;
    ensure!(answer.status == 502 && standin.take().is_empty(), "{answer:?} {}", wash.log());
    Ok(())
}
