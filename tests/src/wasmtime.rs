//! A `wasmtime serve` with the component, as a child process that ends when its value is dropped.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::policy::Policy;
use serde_json::{Value, json};

use crate::{
    Standin,
    builds::{COMPONENT, PASSTHROUGH},
    releases::{OLDEST_WASMTIME, Release},
    server::{PATIENCE, Process, Server, pause},
    tools,
};

/// The documented flags: the environment, pooled memory, and instances that serve many requests and stay between them.
pub const FLAGS: [&str; 8] = [
    "-S",
    "cli",
    "-O",
    "pooling-allocator=y",
    "--max-instance-reuse-count",
    "100000",
    "--idle-instance-timeout",
    "60s",
];

/// The documented words that prepare a component.
pub const PREPARE: [&str; 4] = ["wizer", "-S", "cli,http", "--keep-init-func=true"];
/// The file of a prepared component.
const PREPARED: &str = "prepared.wasm";

/// The set-up of a Wasmtime.
pub struct WasmtimeSetup {
    policy: Result<Option<Value>>,
    env: BTreeMap<String, String>,
    flags: Vec<String>,
    listen: String,
    component: Result<PathBuf>,
    program: Result<PathBuf>,
}

/// A running Wasmtime. The process ends on drop.
#[derive(Debug)]
pub struct Wasmtime(Server);

impl Deref for Wasmtime {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for Wasmtime {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}

impl Wasmtime {
    /// Returns a set-up of the component with this policy.
    pub fn with(policy: &Value) -> WasmtimeSetup {
        WasmtimeSetup { policy: Ok(Some(policy.clone())), ..WasmtimeSetup::of(COMPONENT.path()) }
    }

    /// Returns a set-up of the component without a policy.
    pub fn unconfigured() -> WasmtimeSetup {
        WasmtimeSetup::of(COMPONENT.path())
    }

    /// Returns a set-up of a component that only forwards to `upstream`.
    pub fn passthrough(upstream: SocketAddr) -> WasmtimeSetup {
        WasmtimeSetup::of(PASSTHROUGH.path()).env("UPSTREAM", &upstream.to_string())
    }
}

impl WasmtimeSetup {
    fn of(component: Result<PathBuf>) -> Self {
        Self {
            policy: Ok(None),
            env: BTreeMap::new(),
            flags: FLAGS.map(str::to_owned).to_vec(),
            listen: "127.0.0.1:0".to_owned(),
            component,
            program: tools::wasmtime(),
        }
    }

    /// Runs another file than the built component.
    #[must_use]
    pub fn component(mut self, file: PathBuf) -> Self {
        self.component = Ok(file);
        self
    }

    /// Sets a variable in the component's environment, which is empty otherwise.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Replaces every upstream with the stand-in. Wasmtime does not trust the tests' authority, so the policy uses the
    /// stand-in's plain listeners. Requests are recorded under the name of the upstream.
    #[must_use]
    pub fn upstream(self, standin: &Standin) -> Self {
        self.change(|policy| lead_to(policy, standin))
    }

    /// Sets the address of the registry.
    #[must_use]
    pub fn registry(self, address: SocketAddr) -> Self {
        self.change(|policy| {
            let url =
                policy.pointer("/registry/url").and_then(Value::as_str).context("there is no registry")?;
            let path = url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default();
            policy["registry"]["url"] = json!(format!("http://{address}{path}"));
            keep_within_the_machine(&mut policy["registry"]);
            Ok(())
        })
    }

    /// Redirects all fetches of credentials to `address`.
    #[must_use]
    pub fn agents(self, address: SocketAddr) -> Self {
        self.change(|policy| {
            let chains = policy.get_mut("credentials").and_then(Value::as_object_mut);
            let sources = chains.into_iter().flat_map(|chains| chains.values_mut());
            let sources = sources.filter_map(Value::as_array_mut).flatten();
            for source in sources.filter_map(|source| source.get_mut("http")) {
                let url = source["url"].as_str().unwrap_or_default();
                let path = url.splitn(4, '/').nth(3).unwrap_or_default();
                source["url"] = json!(format!("http://{address}/{path}"));
                keep_within_the_machine(source);
            }
            Ok(())
        })
    }

    /// Sets a fixed port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.listen = format!("127.0.0.1:{port}");
        self
    }

    /// Adds flags.
    #[must_use]
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(ToString::to_string));
        self
    }

    /// Uses a new instance for each request.
    #[must_use]
    pub fn instances_for_one_request(mut self) -> Self {
        let flags = ["-S", "cli", "-O", "pooling-allocator=y", "--max-instance-reuse-count", "1"];
        self.flags = flags.map(str::to_owned).to_vec();
        self
    }

    /// Runs another release. The oldest has no flags for the reuse of instances.
    #[must_use]
    pub fn on(mut self, release: &Release) -> Self {
        self.program = release.program();
        if release.version == OLDEST_WASMTIME.version {
            self.flags = ["-S", "cli"].map(str::to_owned).to_vec();
        }
        self
    }

    /// Runs the component with its policy in it, and gives the host none. A component that is in the folder already is used again.
    #[must_use]
    pub fn prepared(mut self, folder: &Path) -> Self {
        let made = folder.join(PREPARED);
        self.component = self.policy.and_then(|policy| match policy {
            Some(policy) if !made.exists() => prepare(&policy.to_string(), folder),
            _ => Ok(made),
        });
        self.policy = Ok(None);
        self
    }

    fn change(mut self, change: impl FnOnce(&mut Value) -> Result<()>) -> Self {
        self.policy = self.policy.and_then(|mut policy| {
            policy.as_mut().map(change).transpose()?;
            Ok(policy)
        });
        self
    }

    /// Returns the environment, including the policy.
    pub fn environment(self) -> Result<BTreeMap<String, String>> {
        let policy = self.policy?.map(|policy| ("KEYSWAP_POLICY".to_owned(), policy.to_string()));
        Ok(self.env.into_iter().chain(policy).collect())
    }

    /// Starts Wasmtime and waits until it listens.
    pub fn start(self) -> Result<Wasmtime> {
        let Self { policy, mut env, flags, listen, component, program } = self;
        if let Some(policy) = policy? {
            env.insert("KEYSWAP_POLICY".to_owned(), policy.to_string());
        }
        let mut command = Command::new(program?);
        command.arg("serve").args(&flags).args(["--addr", &listen]);
        command.arg("-C").arg(format!("cache-config={}", tools::wasmtime_cache()?.display()));
        for name in env.keys() {
            // Wasmtime reads the value from its environment, so process lists do not show it.
            command.args(["--env", name]);
        }
        command.arg(component?).env_clear().envs(&env).stdout(Stdio::null());
        Wasmtime::run(command)
    }
}

/// Makes a component with a policy in it, in a folder. The book has this command.
pub fn prepare(policy: &str, folder: &Path) -> Result<PathBuf> {
    let (document, component) = (folder.join("policy.json"), folder.join(PREPARED));
    fs::write(&document, policy)?;
    let mut wizer = Command::new(tools::wasmtime()?);
    let cache = format!("cache-config={}", tools::wasmtime_cache()?.display());
    wizer
        .args(PREPARE)
        .args(["-C", &cache])
        .arg("-o")
        .arg(&component)
        .arg(COMPONENT.path()?)
        .stdin(fs::File::open(document)?);
    let output = wizer.output().context("cannot run Wasmtime")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(component)
}

/// Returns the address in the line `Serving HTTP on http://127.0.0.1:8080/` of the log.
fn address(process: &Process) -> Result<Option<SocketAddr>> {
    let log = process.log();
    let address =
        log.lines().find_map(|line| line.strip_prefix("Serving HTTP on http://")?.strip_suffix('/'));
    Ok(address.map(str::parse).transpose()?)
}

/// Removes the word for a network beyond the machine, which an address of the machine does not take.
fn keep_within_the_machine(entry: &mut Value) {
    if let Some(entry) = entry.as_object_mut() {
        entry.remove("plaintext");
    }
}

/// Replaces each upstream of a policy with the stand-in's plain listener.
fn lead_to(policy: &mut Value, standin: &Standin) -> Result<()> {
    let compiled = Policy::from_json(policy.to_string().as_bytes())?;
    let gateway = compiled.gateway_authority().map(str::to_owned);
    let vercel = policy.pointer("/gateway/vercel").is_some();
    let urls: Vec<(String, String)> =
        compiled.upstream_urls().map(|(provider, url)| (provider.to_owned(), url)).collect();
    for (provider, url) in urls {
        let (_, rest) = url.split_once("://").context("a URL has a scheme")?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let url = json!(format!("http://{}{path}", standin.plain(authority)?));
        if gateway.as_deref() == Some(authority) && !(vercel && provider != "vercel") {
            let kind = if vercel { "vercel" } else { "cloudflare" };
            policy["gateway"][kind]["url"] = url;
        } else {
            policy["providers"][&provider]["url"] = url;
        }
    }
    Ok(())
}

impl Wasmtime {
    /// Runs a `wasmtime serve` command, and waits until it listens.
    pub fn run(command: Command) -> Result<Self> {
        let mut process = Process::spawn("Wasmtime", command, tempfile::tempdir()?)?;
        let address = process.wait_for(address)?;
        Ok(Self(Server::new(process, address)))
    }

    /// Waits until the log contains the text.
    pub fn until_logged(&self, text: &str) -> Result<()> {
        let started = std::time::Instant::now();
        while !self.log().contains(text) {
            ensure!(started.elapsed() < PATIENCE, "`{text}` is not in the log:\n{}", self.log());
            pause(started);
        }
        Ok(())
    }
}
