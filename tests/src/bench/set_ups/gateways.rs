//! The gateways that people use otherwise, as programs of their own: Portkey's in Node, LiteLLM's in Python.
//!
//! Both do less here than Keyswap. Portkey's knows no callers: a header of the request brings the key. LiteLLM keeps
//! tokens in a database only, so its caller has the one token of its configuration.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    rc::Rc,
    sync::Arc,
};

use anyhow::Result;
use serde_json::json;
use tempfile::TempDir;

use super::{
    keyswap,
    native::{self, TOKEN},
    proof::{Job, forwards, refuses_with},
    running::Running,
    set_up::{BARE, SetUp},
};
use crate::{
    bench::{
        load::Requests,
        stage::{OPENAI_API_KEY, Stage},
    },
    clients::isolated,
    server::{Process, Server},
    tools,
};

/// The set-ups that are compared as a whole, each the proxy of a caller with a token.
pub const GATEWAY_SET_UPS: [SetUp; 5] = [
    SetUp { name: BARE, title: "Envoy alone", baseline: BARE, start: native::bare },
    SetUp { name: "keyswap-token", title: "**Envoy with Keyswap**", baseline: BARE, start: keyswap::token },
    SetUp {
        name: "module-token",
        title: "**Envoy with Keyswap as a module**",
        baseline: BARE,
        start: keyswap::module_token,
    },
    SetUp { name: "portkey", title: "Portkey's gateway", baseline: BARE, start: portkey },
    SetUp { name: "litellm", title: "LiteLLM's proxy", baseline: BARE, start: litellm },
];

/// A program in front of the upstream.
type Gateway = Rc<Server>;

fn portkey(stage: &Stage, _workers: u32) -> Result<Running> {
    let folder = tools::node_packages("portkey", &files("portkey"))?;
    let mut command = isolated("node");
    command.arg("--require").arg(files("portkey").join("loopback.cjs"));
    command.arg(folder.join("node_modules/@portkey-ai/gateway/build/start-server.js")).arg("--headless");
    command.env("TRUSTED_CUSTOM_HOSTS", "127.0.0.1");
    let gateway = start(stage, "Portkey", command, tempfile::tempdir()?)?;
    let config = json!({
        "provider": "openai", "api_key": OPENAI_API_KEY,
        "custom_host": format!("http://{}/v1", stage.upstream.address()),
    });
    let line = format!("x-portkey-config: {config}\r\nx-stainless-arch");
    let request = Stage::request(TOKEN).replacen("x-stainless-arch", &line, 1);
    let requests = Requests::new([request], 200);
    let (own, first) = (Rc::clone(&gateway), Arc::clone(&requests));
    let proof = move |stage: &Stage| forwards(stage, &own, first.first(), Job::Key).map(drop);
    Ok(Running::new(Rc::new(gateway), requests, proof))
}

fn litellm(stage: &Stage, _workers: u32) -> Result<Running> {
    let packages = tools::python_packages("litellm", &files("litellm").join("requirements.txt"))?;
    let folder = tempfile::tempdir()?;
    // JSON is YAML, which LiteLLM knows by the name of the file.
    let config = folder.path().join("config.yaml");
    let model = json!({
        "model": "openai/gpt-5-mini", "api_key": OPENAI_API_KEY,
        "api_base": format!("http://{}/v1", stage.upstream.address()),
    });
    let model = json!({"model_name": "gpt-5-mini", "litellm_params": model});
    fs::write(
        &config,
        json!({"model_list": [model], "general_settings": {"master_key": TOKEN}}).to_string(),
    )?;
    let mut command = isolated("python3");
    command.arg(files("litellm").join("serve.py")).env("PYTHONPATH", packages);
    command.env("CONFIG_FILE_PATH", config).env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    command.env("LITELLM_LOG", "ERROR");
    let gateway = start(stage, "LiteLLM", command, folder)?;
    let requests = Requests::new([Stage::request(TOKEN)], 200);
    let (own, first) = (Rc::clone(&gateway), Arc::clone(&requests));
    let proof = move |stage: &Stage| {
        forwards(stage, &own, first.first(), Job::Key)?;
        // LiteLLM answers so where it has no database to look for the token.
        refuses_with(400, stage, &own, Stage::request("ptk_nobody").as_bytes())
    };
    Ok(Running::new(Rc::new(gateway), requests, proof))
}

/// Starts a gateway on the core for proxies, and waits until it listens.
fn start(stage: &Stage, name: &'static str, mut command: Command, folder: TempDir) -> Result<Gateway> {
    command.env("HOME", folder.path()).stdout(File::create(folder.path().join("output.log"))?);
    stage.cores.proxy(1, || {
        let mut process = Process::spawn(name, command, folder)?;
        let address = process.wait_for(address)?;
        Ok(Rc::new(Server::new(process, address)))
    })
}

/// Returns the address in the line `listening on 127.0.0.1:8080` of the log.
fn address(process: &Process) -> Result<Option<SocketAddr>> {
    let log = process.log();
    let mut lines = log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let address = lines.find_map(|line| line.strip_prefix("listening on "));
    Ok(address.map(str::parse).transpose()?)
}

fn files(name: &str) -> PathBuf {
    tools::project_root().join("tests/bench").join(name)
}
