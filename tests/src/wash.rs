//! A real `wash dev` with the component, as a child process that ends with the value that stands for it.

use std::{
    fs,
    net::SocketAddr,
    ops::Deref,
    os::unix::fs::symlink,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{
    builds::COMPONENT,
    server::{Process, Server},
    tools,
};

/// Its configuration, below the folder of the component.
const CONFIGURATION: &str = ".wash/config.yaml";

/// A running wash; it ends when this is dropped.
#[derive(Debug)]
pub struct Wash(Server);

impl Deref for Wash {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl Wash {
    /// The configuration that is shipped.
    pub fn shipped() -> Result<Value> {
        let file = tools::project_root().join("component").join(CONFIGURATION);
        Ok(serde_saphyr::from_str(&fs::read_to_string(file)?)?)
    }

    /// Starts it with a configuration and a policy where the shipped ones are, on a free port, and waits until it serves.
    pub fn start(configuration: &Value, policy: &Value, env: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let project = folder.path().join("component");
        fs::create_dir_all(project.join(".wash"))?;
        fs::create_dir(folder.path().join("target"))?;
        symlink(COMPONENT.path()?, folder.path().join("target/keyswap.wasm"))?;
        let mut configuration = configuration.clone();
        configuration["dev"]["address"] = json!("127.0.0.1:0");
        // JSON is YAML.
        fs::write(project.join(CONFIGURATION), configuration.to_string())?;
        fs::write(project.join("policy.json"), policy.to_string())?;
        let mut command = Command::new(tools::wash()?);
        // It keeps a cache in the home of its user.
        command.arg("dev").current_dir(&project).env("HOME", folder.path()).envs(env.iter().copied());
        command.stdout(Stdio::null());
        let mut process = Process::spawn("wash", command, folder)?;
        let address = process.wait_for(address)?;
        Ok(Self(Server::new(process, address)))
    }
}

/// `… HTTP server listening addr=127.0.0.1:8080 …`, and once the component is there `… listening for HTTP requests …`.
fn address(process: &Process) -> Result<Option<SocketAddr>> {
    let log = process.log();
    if !log.contains("listening for HTTP requests") {
        return Ok(None);
    }
    let (_, address) = log.split_once("HTTP server listening addr=").context("wash does not say where")?;
    let address = address.split_whitespace().next().context("wash does not say where")?;
    Ok(Some(address.parse()?))
}
