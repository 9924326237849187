//! A `wash dev` with the component, as a child process that ends when its value is dropped.

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

/// The path of wash's configuration in the component's folder.
const CONFIGURATION: &str = ".wash/config.yaml";

/// A running wash. The process ends on drop.
#[derive(Debug)]
pub struct Wash(Server);

impl Deref for Wash {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl Wash {
    /// Reads the shipped configuration.
    pub fn shipped() -> Result<Value> {
        let file = tools::project_root().join("component").join(CONFIGURATION);
        Ok(serde_saphyr::from_str(&fs::read_to_string(file)?)?)
    }

    /// Starts wash on a free port, with a configuration and a policy in place of the shipped ones. Waits until it
    /// serves.
    pub fn start(configuration: &Value, policy: &Value, env: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let project = folder.path().join("component");
        fs::create_dir_all(project.join(".wash"))?;
        fs::create_dir(folder.path().join("target"))?;
        symlink(COMPONENT.path()?, folder.path().join("target/keyswap.wasm"))?;
        let mut configuration = configuration.clone();
        configuration["dev"]["address"] = json!("127.0.0.1:0");
        // JSON is valid YAML.
        fs::write(project.join(CONFIGURATION), configuration.to_string())?;
        fs::write(project.join("policy.json"), policy.to_string())?;
        let mut command = Command::new(tools::wash()?);
        // wash has a cache in the home folder.
        command.arg("dev").current_dir(&project).env("HOME", folder.path()).envs(env.iter().copied());
        command.stdout(Stdio::null());
        let mut process = Process::spawn("wash", command, folder)?;
        let address = process.wait_for(address)?;
        Ok(Self(Server::new(process, address)))
    }
}

/// Returns the address in the line `… HTTP server listening addr=127.0.0.1:8080 …`, once the component is loaded and
/// the log has `… listening for HTTP requests …`.
fn address(process: &Process) -> Result<Option<SocketAddr>> {
    let log = process.log();
    if !log.contains("listening for HTTP requests") {
        return Ok(None);
    }
    let (_, address) = log.split_once("HTTP server listening addr=").context("wash does not say where")?;
    let address = address.split_whitespace().next().context("wash does not say where")?;
    Ok(Some(address.parse()?))
}
