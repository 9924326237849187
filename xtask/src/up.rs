//! `cargo xtask up`: starts Keyswap with an upstream and a registry. It needs only Rust and Python.

mod console;
mod host;
mod instructions;
mod options;
mod proxy;
mod upstream;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use keyswap_tests::{KEYSWAP, Registry, Testbed, tools};
use serde_json::{Value, json};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use console::Progress;
pub(crate) use options::Options;
use proxy::Proxy;
use upstream::Upstream;

/// The interval between checks that the host and the registry run.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// The output of `keyswap token create`.
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

    // The signals are handled before the first process starts.
    let runtime = Runtime::new()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let standin = progress.step(upstream.step(), || upstream.start_standin(options.gateway_port))?;
    // The proxy asks the registry, whose dashboard names the proxy. So the port is chosen before either starts.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = port.local_addr()?;
    let proxy = progress.step(&format!("starting {name} with the {artefact}"), || {
        let mut policy = upstream.policy()?;
        policy["tokens"] = json!([minted.record]);
        policy["registry"] = Testbed::registry();
        Proxy::start(options, &policy, &upstream, standin.as_ref(), address)
    })?;

    let registry = progress.step("starting the registry", || {
        drop(port);
        start_registry(&proxy, address)
    })?;

    console::print(&instructions::text(&proxy, &registry, &upstream, &minted.token));
    if let Some(standin) = &standin {
        standin.watch(|received| console::print(&console::request(received)));
    }
    runtime.block_on(wait(&mut signals, name, proxy, registry))?;
    console::print("\nKeyswap and all that it started have ended.\n");
    Ok(())
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

/// Starts the registry with a temporary database.
fn start_registry(proxy: &Proxy, address: SocketAddr) -> Result<Registry> {
    let setup = Registry::setup().address(address).first_password();
    setup.arguments(&["--proxy-url", &proxy.url()]).start()
}

/// The signals by which a user ends a program.
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

/// Waits for a signal. A host or a registry that ends by itself is an error.
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
