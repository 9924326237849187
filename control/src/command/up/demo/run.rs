//! A run for a first try.

use std::path::PathBuf;

use anyhow::Context as _;
use keyswap_core::policy::PolicyErrors;
use keyswap_standin::{Standin, UPSTREAM_HOSTS};

use super::instructions::Facts;
use super::upstream::{GATEWAY_HOST, Upstream};
use crate::command::terminal::exit::Exit;
use crate::command::terminal::output::visible;
use crate::command::up::child::Log;
use crate::command::up::console::{self, Progress};
use crate::command::up::folder::Folder;
use crate::command::up::host::Host;
use crate::command::up::options::Up;
use crate::command::up::plane::{self, DataPlane, Setup};
use crate::command::up::policy::Policy;
use crate::command::up::registry::{Beside, Dashboard, Password};
use crate::command::up::running::Running;
use crate::command::up::signals::Signals;
use crate::command::up::variables::{REGISTRY_TOKEN, Variables};
use crate::command::up::{artefacts, programs};
use crate::registry::SecretText;

/// The interval in which the record of the stand-in is emptied: its requests were shown.
const TIDY_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);

/// All that runs.
struct Started {
    running: Running,
    standin: Option<Standin>,
    instructions: String,
}

/// Runs Keyswap for a first try until a signal ends it.
pub(in crate::command::up) async fn run(up: &Up, signals: &mut Signals) -> anyhow::Result<Exit> {
    let folder = Folder::make(up.data.as_deref())?;
    let started = tokio::select! {
        biased;
        () = signals.next() => return Ok(Exit::Ok),
        started = start(up, &folder) => started,
    };
    let Started { mut running, standin, instructions } = started?;
    console::print(&instructions);
    if let Some(standin) = &standin {
        standin.watch(|received| console::print(&console::request(received)));
    }
    let mut tidy = tokio::time::interval(TIDY_INTERVAL);
    loop {
        tokio::select! {
            biased;
            () = signals.next() => break,
            error = running.fails() => return Err(error),
            _ = tidy.tick() => drop(standin.as_ref().map(Standin::take)),
        }
    }
    running.end(signals, up.drain_time).await?;
    console::print("\nKeyswap and all that it started have ended.\n");
    Ok(Exit::Ok)
}

async fn start(up: &Up, folder: &Folder) -> anyhow::Result<Started> {
    let upstream = Upstream::chosen(up.stand_in);
    let mut progress = Progress::of(4);
    let (name, artefact) = (up.host.name(), up.host.artefact());
    let (program, file) = progress
        .step(&format!("finding {name} and the {artefact}"), async {
            let program = programs::find(up.host, up.program().map(PathBuf::as_path))?;
            Ok((program, artefacts::find(up.host, up.artefacts.as_deref())?))
        })
        .await?;
    let (beside, token) = progress
        .step("starting the registry, and minting a proxy token", async {
            let beside =
                Beside::open(up.registry_port(), folder, Dashboard::open(up.dashboard_listen, None).await?)
                    .await?;
            let token = beside.mint(upstream.providers()).await?;
            Ok((beside, token))
        })
        .await?;
    let title =
        if upstream.is_standin() { "starting the stand-in gateway" } else { "using the real upstream" };
    let standin = progress.step(title, async { start_standin(up, &upstream) }).await?;
    let running = progress
        .step(&format!("starting {name} with the {artefact}"), async {
            let setup = setup(up, program, file, folder, &upstream, standin.as_ref(), beside.credential());
            let policy = policy(up, &upstream, standin.as_ref(), &beside, &setup)?;
            let plane = DataPlane::start(setup, &policy).await?;
            let url = up.proxy_url.clone().map_or_else(|| plane.url(), Ok)?;
            Ok(Running { plane, registry: beside.serve(url, folder).await? })
        })
        .await?;
    let instructions = instructions(&running, &upstream, token.as_ref(), folder)?;
    Ok(Started { running, standin, instructions })
}

/// Starts the stand-in. The port may have been taken since it was checked.
fn start_standin(up: &Up, upstream: &Upstream) -> anyhow::Result<Option<Standin>> {
    let port = up.gateway_port;
    let start = || Standin::start_with(port, &UPSTREAM_HOSTS);
    let standin = upstream.is_standin().then(start).transpose();
    standin.with_context(|| format!("cannot start the stand-in on port {port}"))
}

fn setup(
    up: &Up,
    program: PathBuf,
    artefact: PathBuf,
    folder: &Folder,
    upstream: &Upstream,
    standin: Option<&Standin>,
    credential: &SecretText,
) -> Setup {
    let run = folder.run().to_path_buf();
    Setup {
        host: up.host,
        program,
        artefact,
        listen: up.listen(),
        secret: None,
        admin_port: up.admin_port,
        workers: Some(up.workers.unwrap_or(1)),
        variables: Variables::only(upstream.secrets()).with(REGISTRY_TOKEN, credential.expose()),
        standin: standin
            .map(|standin| plane::Standin { address: standin.address(), ca_file: standin.ca_file() }),
        log: Log::File(run.join(format!("{}.log", up.host.name().to_lowercase()))),
        access_log: Some(run.join("access.log")),
        folder: run,
    }
}

fn policy(
    up: &Up,
    upstream: &Upstream,
    standin: Option<&Standin>,
    beside: &Beside,
    setup: &Setup,
) -> anyhow::Result<Policy> {
    // Wasmtime does not trust the authority of the stand-in.
    let plain = standin.filter(|_| up.host == Host::Wasmtime).map(|standin| standin.plain(GATEWAY_HOST));
    let document = upstream.policy(plain.transpose()?)?;
    let words = |errors: PolicyErrors| {
        anyhow::anyhow!(errors.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    };
    Policy::of(document, &beside.url(), up.host, &setup.variables).map_err(words)
}

fn instructions(
    running: &Running,
    upstream: &Upstream,
    token: Option<&SecretText>,
    folder: &Folder,
) -> anyhow::Result<String> {
    let Running { plane, registry } = running;
    let password = match registry.password() {
        Password::New(password) => format!("{} (of the dashboard, until Ctrl-C)", password.expose()),
        Password::InFile(file) => format!("in `{}` (of the dashboard)", visible(&file.display().to_string())),
        Password::Known => "as before (of the dashboard)".to_owned(),
    };
    let run = folder.run().display();
    let mut others = vec![
        ("dashboard", registry.dashboard()?),
        ("password", password),
        ("upstream", upstream.remark().to_owned()),
    ];
    match plane.admin_address() {
        Some(admin) => others.extend([
            ("admin", format!("http://{admin}")),
            ("logs", format!("envoy.log and access.log in {run}")),
        ]),
        None => others.push(("logs", format!("wasmtime.log in {run}"))),
    }
    let (url, token) = (plane.url()?.to_string(), token.map(SecretText::expose));
    Ok(Facts { token, url: &url, upstream, others }.text())
}
