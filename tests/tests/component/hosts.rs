//! How hosts are told to run it: the command in README.md and the manifest for Spin.

use std::{
    env, fs,
    os::unix::fs::symlink,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::{Capabilities, Policy};
use keyswap_tests::{COMPONENT, Request, WASMTIME_FLAGS, Wasmtime, tools};
use serde_json::Value;

fn shipped_policy() -> Result<Policy> {
    let text = fs::read(tools::project_root().join("component/policy.json"))?;
    let policy = Policy::from_json(&text)?;
    policy.fits(Capabilities::COMPONENT)?;
    Ok(policy)
}

/// The command in README.md that begins with these words, on one line.
fn command_of_the_readme(begins: &str) -> Result<String> {
    let readme = fs::read_to_string(tools::project_root().join("README.md"))?;
    let start = readme.find(&format!("\n{begins}")).with_context(|| format!("no `{begins}` in README.md"))?;
    let command = readme.get(start + 1..).unwrap_or_default();
    let command = command.split("\n```").next().unwrap_or_default();
    Ok(command.replace("\\\n", " "))
}

#[test]
fn the_command_of_the_readme_serves_the_shipped_policy() -> Result<()> {
    shipped_policy()?;
    let command = command_of_the_readme("wasmtime serve")?;
    let words: Vec<&str> = command.split_whitespace().collect();
    let has_flags = words.windows(WASMTIME_FLAGS.len()).any(|window| window == WASMTIME_FLAGS);
    ensure!(has_flags, "the tests run Wasmtime with {WASMTIME_FLAGS:?}, README.md with `{command}`");

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
