//! `cargo xtask up`: a running Keyswap, from nothing but Rust and Python.

mod console;
mod instructions;
mod proxy;
mod upstream;

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use keyswap_tests::{KEYSWAP, Registry, Standin, UPSTREAM_HOSTS, tools};
use serde_json::{Value, json};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use console::Progress;
use proxy::{Host, Proxy};
use upstream::Upstream;

/// How often it is looked whether the host and the registry still run.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// What `cargo xtask up` takes. Port 0 is any free port.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What Keyswap runs in.
    #[arg(long, value_enum, default_value_t)]
    host: Host,
    /// The port on which Keyswap listens.
    #[arg(long, default_value_t = 10000)]
    port: u16,
    /// The port of Envoy's admin interface; Wasmtime has none.
    #[arg(long, default_value_t = 9901)]
    admin_port: u16,
    /// The port of the stand-in gateway [default: any free port].
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    gateway_port: u16,
}

/// A token as `keyswap token create` mints it.
struct Minted {
    token: String,
    record: Value,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    options.check_ports()?;
    let upstream = Upstream::chosen();
    let mut progress = Progress::of(6);

    let host = options.host;
    let (name, artefact) = (host.name(), host.artefact());
    progress.step(&format!("getting {name}"), || host.install())?;
    let command = progress.step(&format!("building the {artefact} and the `keyswap` command"), || {
        host.build()?;
        KEYSWAP.path()
    })?;
    let minted = progress.step("minting a proxy token", || mint(&command, upstream.providers()))?;

    // From here on there is something to end.
    let runtime = Runtime::new()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let standin = progress.step(upstream.step(), || upstream.start_standin(options.gateway_port))?;
    let proxy = progress.step(&format!("starting {name} with the {artefact}"), || {
        let mut policy = upstream.policy()?;
        policy["tokens"] = json!([minted.record]);
        host.start(options, &policy, &upstream, standin.as_ref())
    })?;

    let registry = progress.step("starting the registry", || start_registry(&proxy))?;

    console::print(&instructions::text(&proxy, &registry, &upstream, &minted.token));
    if let Some(standin) = &standin {
        standin.watch(|received| console::print(&console::request(received)));
    }
    runtime.block_on(wait(&mut signals, name, proxy, registry))?;
    console::print("\nKeyswap and all that it started have ended.\n");
    Ok(())
}

impl Options {
    /// Before anything is built, so that nobody waits for this error.
    fn check_ports(&self) -> Result<()> {
        let admin = matches!(self.host, Host::Envoy).then_some(("--admin-port", self.admin_port));
        let ports = [("--port", self.port), ("--gateway-port", self.gateway_port)];
        ports.into_iter().chain(admin).try_for_each(|(flag, port)| check_port(flag, port))
    }
}

fn check_port(flag: &str, port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} is taken: choose another with `{flag}` (`{flag} 0` takes any free one)")
        }
        Err(error) => {
            Err(error).with_context(|| format!("cannot listen on port {port}: choose another with `{flag}`"))
        }
        Ok(_) => Ok(()),
    }
}

fn mint(keyswap: &Path, providers: &[&str]) -> Result<Minted> {
    let mut command = Command::new(keyswap);
    command.args([
        "token",
        "create",
        "--label",
        "cargo-xtask-up",
        "--owner",
        "you@example.com",
        "--format",
        "json",
    ]);
    command.args(providers.iter().flat_map(|provider| ["--provider", provider]));
    let output = tools::run(&mut command, "it was built a moment ago")?;
    let mut minted: Value =
        serde_json::from_str(&output).context("`keyswap token create` printed no JSON")?;
    let token = minted["token"].as_str().context("`keyswap token create` printed no token")?.to_owned();
    Ok(Minted { token, record: minted["record"].take() })
}

/// On a database of its own, which goes with it.
fn start_registry(proxy: &Proxy) -> Result<Registry> {
    Registry::setup().first_password().arguments(&["--proxy-url", &proxy.url()]).start()
}

/// The ways in which a user ends a program.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Until a signal; a host or a registry that ends by itself is an error.
async fn wait(signals: &mut Signals, name: &str, mut proxy: Proxy, mut registry: Registry) -> Result<()> {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            _ = signals.interrupt.recv() => return Ok(()),
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.hangup.recv() => return Ok(()),
            _ = heartbeat.tick() => {
                if let Some(status) = proxy.ended()? {
                    return Err(anyhow!("{name} has ended ({status}):\n{}", proxy.last_lines()));
                }
                if let Some(status) = registry.ended()? {
                    return Err(anyhow!("the registry has ended ({status}):\n{}", registry.log()));
                }
            }
        }
    }
}

/// Starts the stand-in; the port was free a moment ago.
fn start_standin(port: u16) -> Result<Standin> {
    Standin::start_with(port, &UPSTREAM_HOSTS)
        .with_context(|| format!("cannot start the stand-in on port {port}"))
}
