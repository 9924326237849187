//! The examples of `component/examples`, servers that embed the authorizer, as child processes.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::{
    builds::AUTHORIZER,
    clients::isolated,
    server::{Process, Server},
    tools::{self, installed, project_root},
    wasmtime::WasmtimeSetup,
};

/// A program that embeds the authorizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedding {
    /// Express, with the component as an ES module.
    Node,
    /// An ASGI server, with the component in Wasmtime.
    Python,
}

/// A server with an application behind the middleware, which accepts every connection that reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Express on Node's server, with listeners for upgrades and CONNECT.
    Node,
    /// uvicorn, with this package for upgraded connections.
    Uvicorn(&'static str),
}

impl Embedding {
    /// All examples.
    pub const ALL: [Self; 2] = [Self::Node, Self::Python];

    fn command(self) -> Result<Command> {
        match self {
            Self::Node => node("server.mjs"),
            Self::Python => python("component/examples/python/server.py"),
        }
    }
}

impl Gate {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Node, Self::Uvicorn("websockets"), Self::Uvicorn("wsproto")];

    fn command(self) -> Result<Command> {
        match self {
            Self::Node => node("gate.mjs"),
            Self::Uvicorn(websockets) => Ok(python_gate(websockets)?),
        }
    }
}

/// Returns the middleware of ASGI without a server: `scopes` on standard input, and what was sent on standard output.
pub fn asgi_scopes(policy: &serde_json::Value) -> Result<Command> {
    let mut command = python_gate("scopes")?;
    command.env("KEYSWAP_POLICY", policy.to_string());
    Ok(command)
}

fn python_gate(argument: &str) -> Result<Command> {
    let mut command = python("tests/hosts/gate.py")?;
    command.arg(argument);
    Ok(command)
}

fn node(program: &str) -> Result<Command> {
    let folder = node_example()?;
    let mut command = isolated("node");
    command.arg(folder.join(program)).arg(folder.join("authorizer"));
    Ok(command)
}

fn python(program: &str) -> Result<Command> {
    let mut command = isolated("python3");
    command.arg(project_root().join(program)).arg(AUTHORIZER.path()?);
    command.env("PYTHONPATH", tools::python_host()?).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

impl WasmtimeSetup {
    /// Starts an example in place of Wasmtime, with the same policy and environment.
    pub fn start_embedded(self, embedding: Embedding) -> Result<Server> {
        self.start_program(embedding.command()?)
    }

    /// Starts a gate with this policy and environment instead.
    pub fn start_gate(self, gate: Gate) -> Result<Server> {
        self.start_program(gate.command()?)
    }

    fn start_program(self, mut command: Command) -> Result<Server> {
        let env = self.environment()?;
        command.envs(env).env("PORT", "0").stdout(Stdio::null());
        let mut process = Process::spawn("embedding", command, tempfile::tempdir()?)?;
        let address = process.wait_for(address)?;
        Ok(Server::new(process, address))
    }
}

/// Returns the address in the line `listening on http://127.0.0.1:8080` of the log.
fn address(process: &Process) -> Result<Option<SocketAddr>> {
    let log = process.log();
    let address = log.lines().find_map(|line| line.strip_prefix("listening on http://"));
    Ok(address.map(str::parse).transpose()?)
}

/// Returns a folder with the example, its packages, and the authorizer as a module in `authorizer`.
fn node_example() -> Result<PathBuf> {
    let source = project_root().join("component/examples/node");
    let gate = project_root().join("tests/hosts/gate.mjs");
    let files = ["keyswap.mjs", "server.mjs", "transpile.mjs"].map(|name| source.join(name));
    let files = [&files[..], &[gate]].concat();
    let packages = tools::node_host()?;
    let component = AUTHORIZER.path()?;
    let made_of = [&files[..], std::slice::from_ref(&component)].concat();
    installed("node-example", &tools::fingerprint(&made_of)?, |folder| {
        for file in &files {
            fs::copy(file, folder.join(file.file_name().unwrap_or_default()))?;
        }
        symlink(packages.join("node_modules"), folder.join("node_modules"))?;
        let mut transpile = Command::new("node");
        transpile.arg("transpile.mjs").arg(&component).arg("authorizer").current_dir(folder);
        tools::run(&mut transpile, tools::NODE_REMEDY).context("the authorizer makes no ES module")?;
        Ok(())
    })
}
