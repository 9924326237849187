//! An `OpenID` provider, npm's `oidc-provider`, as a child process that ends when its value is dropped.

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines, Write as _},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    http::{self, Request},
    server::end_with_parent,
    tools::{NODE_REMEDY, fingerprint, installed, node_packages, project_root},
};

const FILES: [&str; 3] = ["package.json", "package-lock.json", "provider.mjs"];
const SECRET: &str = "the-client-secret-of-a-test";

/// A running provider.
#[derive(Debug)]
pub struct OidcProvider {
    process: Child,
    commands: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
    audience: String,
}

impl OidcProvider {
    /// Starts the issuer `url` with one key. `audience` is a URL.
    pub fn start(url: &str, audience: &str) -> Result<Self> {
        let mut command = Command::new("node");
        command
            .arg(program()?.join("provider.mjs"))
            .args([url, audience, SECRET])
            .env_remove("NODE_OPTIONS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        end_with_parent(&mut command);
        let mut process = command.spawn().context(NODE_REMEDY)?;
        let commands = process.stdin.take().context("its input is piped")?;
        let stdout = process.stdout.take().context("its output is piped")?;
        let mut said = BufReader::new(stdout).lines();
        let first = said.next().context("the OpenID provider did not start")??;
        let port = first.strip_prefix("listening on ").context("the OpenID provider does not listen")?;
        let address = (Ipv4Addr::LOCALHOST, port.parse()?).into();
        Ok(Self { process, commands, said, address, audience: audience.to_owned() })
    }

    /// Returns the address that the provider listens on, in plain HTTP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests an access token of the client `robot`, with its client credentials.
    pub fn token(&self) -> Result<String> {
        let resource = self.audience.replace(':', "%3A").replace('/', "%2F");
        let form = format!(
            "grant_type=client_credentials&client_id=robot&client_secret={SECRET}&resource={resource}"
        );
        let request =
            Request::new("POST", "/token").header("content-type", "application/x-www-form-urlencoded");
        let response = http::send(self.address, &request.body(form))?;
        ensure!(response.status == 200, "no token: {} {}", response.status, response.text());
        let token = response.json()?.get("access_token").and_then(Value::as_str).map(str::to_owned);
        token.context("no access token")
    }

    /// Signs with a new key from now on. The old keys stay published.
    pub fn rotate(&mut self) -> Result<()> {
        self.command("rotate")
    }

    /// Stops publishing the old keys.
    pub fn retire(&mut self) -> Result<()> {
        self.command("retire")
    }

    fn command(&mut self, command: &str) -> Result<()> {
        writeln!(self.commands, "{command}")?;
        let confirmed = self.said.next().context("the OpenID provider has ended")??;
        ensure!(confirmed == command, "the OpenID provider said `{confirmed}`");
        Ok(())
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns a folder with the program and its packages.
fn program() -> Result<PathBuf> {
    let source = project_root().join("tests/oidc");
    let packages = node_packages("oidc-packages", &source)?;
    let files = FILES.map(|file| source.join(file));
    installed("oidc-provider", &fingerprint(&files)?, |folder| {
        for file in &files {
            fs::copy(file, folder.join(file.file_name().unwrap_or_default()))?;
        }
        let beside = Path::new("..").join(packages.file_name().unwrap_or_default());
        Ok(symlink(beside.join("node_modules"), folder.join("node_modules"))?)
    })
}
