//! The programs that embed the authorizer by its packages, as child processes: the examples of `component/examples`, and the
//! gates of `tests/hosts`.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
};

use anyhow::Result;

use crate::{
    clients::isolated,
    packages,
    server::{Process, Server},
    tools::project_root,
    wasmtime::WasmtimeSetup,
};

/// A program that embeds the authorizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedding {
    /// A server of Express.
    Express,
    /// A server of Hono.
    Hono,
    /// A handler of the Fetch standard.
    Fetch,
    /// A server of Starlette, for ASGI.
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
    pub const ALL: [Self; 4] = [Self::Express, Self::Hono, Self::Fetch, Self::Python];

    fn command(self) -> Result<Command> {
        match self {
            Self::Express => node("express.mjs"),
            Self::Hono => node("hono.mjs"),
            Self::Fetch => node("fetch.mjs"),
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
    let mut command = isolated("node");
    command.arg(packages::node_programs()?.join(program));
    Ok(command)
}

fn python(program: &str) -> Result<Command> {
    let mut command = isolated("python3");
    command.arg(project_root().join(program));
    command.env("PYTHONPATH", packages::python_path()?).env("PYTHONDONTWRITEBYTECODE", "1");
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
