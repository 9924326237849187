//! A real `wasmtime serve` with the component, as a child process that ends with the value that stands for it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    ops::{Deref, DerefMut},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::policy::Policy;
use serde_json::{Value, json};

use crate::{
    Standin,
    builds::{COMPONENT, PASSTHROUGH},
    server::{PATIENCE, Process, Server, pause},
    tools,
};

/// How README.md has it run: with the environment, memory that is taken from a pool, and instances that serve many
/// requests and are kept for a while between two.
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

/// The set-up of a Wasmtime.
pub struct WasmtimeSetup {
    policy: Result<Option<Value>>,
    env: BTreeMap<String, String>,
    flags: Vec<String>,
    listen: String,
    component: Result<PathBuf>,
    program: Result<PathBuf>,
}

/// A running Wasmtime; it ends when this is dropped.
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
    /// The component with this policy, to be started.
    pub fn with(policy: &Value) -> WasmtimeSetup {
        WasmtimeSetup { policy: Ok(Some(policy.clone())), ..WasmtimeSetup::of(COMPONENT.path()) }
    }

    /// The component without a policy.
    pub fn unconfigured() -> WasmtimeSetup {
        WasmtimeSetup::of(COMPONENT.path())
    }

    /// A component that only forwards to `upstream`.
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

    /// Sets a variable in the environment of the component, which holds nothing else.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The stand-in takes the place of every upstream. Wasmtime trusts no authority of a test's, so the policy leads to
    /// its listeners in plain HTTP; what arrives there is recorded under the name of the upstream.
    #[must_use]
    pub fn upstream(self, standin: &Standin) -> Self {
        self.change(|policy| lead_to(policy, standin))
    }

    /// Tokens are looked up at `address`.
    #[must_use]
    pub fn registry(self, address: SocketAddr) -> Self {
        self.change(|policy| {
            let url =
                policy.pointer("/registry/url").and_then(Value::as_str).context("there is no registry")?;
            let path = url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default();
            policy["registry"]["url"] = json!(format!("http://{address}{path}"));
            Ok(())
        })
    }

    /// Credentials are fetched from `address`, whatever the policy says.
    #[must_use]
    pub fn agents(self, address: SocketAddr) -> Self {
        self.change(|policy| {
            let chains = policy.get_mut("credentials").and_then(Value::as_object_mut);
            let sources = chains.into_iter().flat_map(|chains| chains.values_mut());
            let sources = sources.filter_map(Value::as_array_mut).flatten();
            for url in sources.filter_map(|source| source.pointer_mut("/http/url")) {
                let path = url.as_str().and_then(|url| url.splitn(4, '/').nth(3)).unwrap_or_default();
                *url = json!(format!("http://{address}/{path}"));
            }
            Ok(())
        })
    }

    /// A fixed port, for people.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.listen = format!("127.0.0.1:{port}");
        self
    }

    /// More flags.
    #[must_use]
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(ToString::to_string));
        self
    }

    /// As on a host that makes an instance for each request.
    #[must_use]
    pub fn instances_for_one_request(mut self) -> Self {
        self.flags = ["-S", "cli", "--max-instance-reuse-count", "1"].map(str::to_owned).to_vec();
        self
    }

    /// Another release, without flags that it may not know.
    #[must_use]
    pub fn program(mut self, program: Result<PathBuf>) -> Self {
        self.program = program;
        self.flags = ["-S", "cli"].map(str::to_owned).to_vec();
        self
    }

    fn change(mut self, change: impl FnOnce(&mut Value) -> Result<()>) -> Self {
        self.policy = self.policy.and_then(|mut policy| {
            policy.as_mut().map(change).transpose()?;
            Ok(policy)
        });
        self
    }

    /// The environment, with the policy in it.
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
            // Its value is taken from the environment, and shows in no list of processes.
            command.args(["--env", name]);
        }
        command.arg(component?).env_clear().envs(&env).stdout(Stdio::null());
        Wasmtime::run(command)
    }
}

/// `Serving HTTP on http://127.0.0.1:8080/`
fn address(process: &Process) -> Result<Option<SocketAddr>> {
    let log = process.log();
    let address =
        log.lines().find_map(|line| line.strip_prefix("Serving HTTP on http://")?.strip_suffix('/'));
    Ok(address.map(str::parse).transpose()?)
}

/// Puts the stand-in's listeners into a policy, in the place of each upstream.
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
    /// Runs a command that is `wasmtime serve`, and waits until it listens.
    pub fn run(command: Command) -> Result<Self> {
        let mut process = Process::spawn("Wasmtime", command, tempfile::tempdir()?)?;
        let address = process.wait_for(address)?;
        Ok(Self(Server::new(process, address)))
    }

    /// Waits until its log has this.
    pub fn until_logged(&self, text: &str) -> Result<()> {
        let started = std::time::Instant::now();
        while !self.log().contains(text) {
            ensure!(started.elapsed() < PATIENCE, "`{text}` is not in the log:\n{}", self.log());
            pause(started);
        }
        Ok(())
    }
}
