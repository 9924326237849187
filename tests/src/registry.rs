//! A `keyswap serve`, as a child process that ends when its value is dropped.
//!
//! The port stays the same over [`Registry::stop`], [`Registry::kill`] and [`Registry::restart`], so clients need no
//! new address.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    builds::KEYSWAP,
    http::{self, Request, Response},
    server::end_with_parent,
};

const REGISTRY_TOKEN: &str = "the-registry-token-of-a-test";
const PASSWORD: &str = "the-admin-password-of-a-test";

/// The header with which programs identify themselves, required for unsafe methods.
const CLIENT_HEADER: &str = "x-keyswap-client";

/// The set-up of a registry.
pub struct RegistrySetup {
    command: Option<PathBuf>,
    database: Option<String>,
    password: Option<String>,
    arguments: Vec<String>,
    address: SocketAddr,
}

impl RegistrySetup {
    /// Sets the address to listen on, in place of a free port.
    #[must_use]
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Sets the `keyswap` command, in place of the one that [`KEYSWAP`] builds.
    #[must_use]
    pub fn command(mut self, path: impl Into<PathBuf>) -> Self {
        self.command = Some(path.into());
        self
    }

    /// Sets the `--database`, in place of a temporary SQLite file.
    #[must_use]
    pub fn database(mut self, url: &str) -> Self {
        self.database = Some(url.to_owned());
        self
    }

    /// Sets no password, so the registry generates the first one. The database must be new.
    #[must_use]
    pub fn first_password(mut self) -> Self {
        self.password = None;
        self
    }

    /// Adds arguments for `keyswap serve`. With those of TLS, [`Registry::send`] does not reach the registry.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// Starts the registry and waits until it listens.
    pub fn start(self) -> Result<Registry> {
        let folder = tempfile::tempdir()?;
        let database = self
            .database
            .unwrap_or_else(|| format!("sqlite://{}", folder.path().join("registry.db").display()));
        let command = self.command.map_or_else(|| KEYSWAP.path(), Ok)?;
        let launch = Launch { command, database, password: self.password, arguments: self.arguments, folder };
        let (process, mut said) = launch.run(&self.address.to_string())?;
        let listening =
            said.next().with_context(|| format!("the registry did not start:\n{}", launch.log()))?;
        let (_, address) = listening.split_once("://").context("the registry does not listen")?;
        let address = address.parse()?;
        let password = match &launch.password {
            Some(password) => password.clone(),
            None => first_password(&said.next().unwrap_or_default())?,
        };
        Ok(Registry { process: Some(process), launch, address, password, cookie: OnceLock::new() })
    }
}

/// A running registry. The process ends on drop.
#[derive(Debug)]
pub struct Registry {
    process: Option<Process>,
    launch: Launch,
    address: SocketAddr,
    password: String,
    cookie: OnceLock<String>,
}

impl Registry {
    /// Starts a registry with a temporary SQLite file.
    pub fn start() -> Result<Self> {
        Self::setup().start()
    }

    /// Returns the set-up of a registry.
    pub fn setup() -> RegistrySetup {
        RegistrySetup {
            command: None,
            database: None,
            password: Some(PASSWORD.to_owned()),
            arguments: Vec::new(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }

    /// Returns the address that the registry listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base URL, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the database, in the form of `--database`.
    pub fn database(&self) -> &str {
        &self.launch.database
    }

    /// Returns the administrator's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns the data planes' credential.
    pub fn registry_token(&self) -> &'static str {
        REGISTRY_TOKEN
    }

    /// The data planes' credential of every registry.
    pub const TOKEN: &str = REGISTRY_TOKEN;

    /// Creates a token: `{"label": …, "providers": […], …}`. Returns `{"token": …, "record": …}`.
    pub fn create_token(&self, new: &Value) -> Result<Value> {
        self.admin("POST", "/tokens", new)
    }

    /// Calls the administration API, signed in with the password. `path` is the part after `/admin/api`. With `null` no
    /// body is sent. Returns the JSON of a success, `null` for an empty body.
    pub fn admin(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let request = Request::new(method, format!("/admin/api{path}")).header("cookie", self.cookie()?);
        let response = self.send(&with_json(request.header(CLIENT_HEADER, "tests"), body))?;
        ensure!((200..300).contains(&response.status), "{method} {path}: {}", response.text());
        if response.body.is_empty() { Ok(Value::Null) } else { response.json() }
    }

    /// Sends a request and waits for the whole answer.
    pub fn send(&self, request: &Request) -> Result<Response> {
        http::send(self.address, request).with_context(|| self.log())
    }

    /// Returns the log.
    pub fn log(&self) -> String {
        self.launch.log()
    }

    /// Returns the exit status, `None` while the process runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.as_mut().map_or(Ok(None), |process| Ok(process.0.try_wait()?))
    }

    /// Stops the process with SIGTERM and waits for its end.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        kill_process(Pid::from_child(&process.0), Signal::TERM)?;
        let status = process.0.wait()?;
        ensure!(status.success(), "the registry ended with {status}:\n{}", self.log());
        Ok(())
    }

    /// Kills the process, like a crash.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the registry again, with the same database and port.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let (process, mut said) = self.launch.run(&self.address.to_string())?;
        ensure!(said.next().is_some(), "the registry did not start again:\n{}", self.log());
        self.process = Some(process);
        Ok(())
    }

    /// Returns the cookie of a session, which survives a restart.
    fn cookie(&self) -> Result<&str> {
        if let Some(cookie) = self.cookie.get() {
            return Ok(cookie);
        }
        let request = Request::post("/admin/session", &serde_json::json!({"password": self.password}));
        let response = self.send(&request.header(CLIENT_HEADER, "tests"))?;
        let cookie = response.header("set-cookie").and_then(|cookie| cookie.split(';').next());
        let cookie = cookie.with_context(|| format!("cannot sign in: {}", response.text()))?;
        Ok(self.cookie.get_or_init(|| cookie.to_owned()))
    }
}

/// The parameters of a start.
#[derive(Debug)]
struct Launch {
    command: PathBuf,
    database: String,
    password: Option<String>,
    arguments: Vec<String>,
    folder: TempDir,
}

impl Launch {
    /// Starts the process. Returns it with the lines of its standard output.
    fn run(&self, listen: &str) -> Result<(Process, impl Iterator<Item = String> + use<>)> {
        let log =
            OpenOptions::new().create(true).append(true).open(self.folder.path().join("registry.log"))?;
        let mut process = Process(self.command(listen, log).spawn().context("cannot run `keyswap serve`")?);
        let stdout = process.0.stdout.take().context("its output is piped")?;
        Ok((process, BufReader::new(stdout).lines().map_while(Result::ok)))
    }

    fn command(&self, listen: &str, log: File) -> Command {
        let mut command = Command::new(&self.command);
        command
            .args(["serve", "--listen", listen, "--database", &self.database, "--log", "warn"])
            .args(&self.arguments)
            .env_clear()
            .env("KEYSWAP_REGISTRY_TOKEN", REGISTRY_TOKEN)
            .envs(self.password.as_ref().map(|password| ("KEYSWAP_ADMIN_PASSWORD", password)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        end_with_parent(&mut command);
        command
    }

    fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("registry.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn with_json(request: Request, body: &Value) -> Request {
    if body.is_null() {
        return request;
    }
    request.header("content-type", "application/json").body(body.to_string())
}

/// Returns the password in the line `first password: … (it is not shown again)`.
fn first_password(line: &str) -> Result<String> {
    let password = line.strip_prefix("first password: ").and_then(|rest| rest.split(' ').next());
    Ok(password.with_context(|| format!("the registry made no password: {line}"))?.to_owned())
}
