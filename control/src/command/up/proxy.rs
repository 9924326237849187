//! A proxy with the user's policy, which is watched and put in force when it changes.

use std::future::pending;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use serde_json::Value;

use super::certificate::{Certificate, Renewal};
use super::child::Log;
use super::folder::{self, Folder};
use super::host::Host;
use super::options::Up;
use super::plane::{DataPlane, Setup};
use super::policy::{self, Policy};
use super::registry::{Beside, Dashboard, Password, Serving};
use super::running::Running;
use super::signals::Signals;
use super::url::scheme;
use super::variables::{REGISTRY_TOKEN, Variables};
use super::watch::Watch;
use super::{artefacts, notify, programs};
use crate::command::policy::{error_lines, report_invalid};
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::exit::Exit;
use crate::command::terminal::input;
use crate::command::terminal::output::{Format, visible};
use keyswap_core::policy::PolicyErrors;

/// The reader of the policy.
struct Source<'s> {
    path: &'s Path,
    host: Host,
    registry: String,
    variables: Variables,
}

impl Source<'_> {
    /// Reads the file. An error tells why there is no policy; the inner error has all that is wrong with it.
    fn read(&self) -> anyhow::Result<(String, Result<Policy, PolicyErrors>)> {
        let file = PolicyFile::read(self.path)?;
        let read = file
            .document()
            .map_err(policy::whole)
            .and_then(|document| Policy::of(document, &self.registry, self.host, &self.variables));
        Ok((file.name, read))
    }
}

/// The files that may change while the proxy serves.
struct Watched {
    policy: Watch,
    certificate: Option<Renewal>,
}

/// The file that has changed.
enum Changed {
    Policy,
    Certificate,
}

impl Watched {
    /// Waits for the next change. Cancelling the wait loses no change.
    async fn next(&mut self) -> Changed {
        let certificate = async {
            match &mut self.certificate {
                Some(renewal) => renewal.changed().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = self.policy.changed() => Changed::Policy,
            () = certificate => Changed::Certificate,
        }
    }
}

/// Runs the proxy until a signal ends it.
pub(super) async fn run(up: &Up, path: &Path, signals: &mut Signals) -> anyhow::Result<Exit> {
    ensure!(!input::is_stdin(path), "`--policy` needs a file: it is read again when it changes");
    let program = programs::find(up.host, up.program().map(PathBuf::as_path))?;
    let artefact = artefacts::find(up.host, up.artefacts.as_deref())?;
    let data = up.data.clone().map_or_else(folder::default_data, Ok)?;
    let folder = Folder::make(Some(&data))?;
    let mut watched = Watched { policy: Watch::new(path), certificate: up.certificate()?.map(Renewal::of) };
    let certificate = watched.certificate.as_ref().map(Renewal::certificate);
    let dashboard = Dashboard::open(up.dashboard_listen, certificate.map(Certificate::files)).await?;
    let beside = Beside::open(up.registry_port(), &folder, dashboard).await?;
    let variables = Variables::of_process().with(REGISTRY_TOKEN, beside.credential().expose());
    let source = Source { path, host: up.host, registry: beside.url(), variables };
    let policy = match source.read()? {
        (_, Ok(policy)) => policy,
        (name, Err(errors)) => return report_invalid(&name, &errors, Format::Human),
    };
    let mut setup = setup(up, program, artefact, &folder, source.variables.clone());
    setup.secret = certificate.map(Certificate::secret).transpose()?;
    let started = tokio::select! {
        biased;
        () = signals.next() => return Ok(Exit::Ok),
        started = start(up, setup, &policy, beside, &folder) => started,
    };
    let mut running = started?;
    tell(&running, &policy, &source.registry);
    notify::ready();
    let mut in_force = policy.document;
    loop {
        let changed = tokio::select! {
            biased;
            () = signals.next() => break,
            error = running.fails() => return Err(error),
            changed = watched.next() => changed,
        };
        let put_in_force = async {
            match changed {
                Changed::Policy => change(&source, &mut running.plane, &mut in_force).await,
                Changed::Certificate => renew(watched.certificate.as_ref(), &mut running.plane).await,
            }
        };
        tokio::select! {
            biased;
            () = signals.next() => break,
            () = put_in_force => {}
        }
    }
    notify::stopping();
    tracing::info!("stopping when the requests in progress have ended");
    running.end(signals, up.drain_time).await?;
    Ok(Exit::Ok)
}

fn setup(up: &Up, program: PathBuf, artefact: PathBuf, folder: &Folder, variables: Variables) -> Setup {
    Setup {
        host: up.host,
        program,
        artefact,
        folder: folder.run().to_path_buf(),
        listen: up.listen(),
        secret: None,
        admin_port: up.admin_port,
        workers: up.workers,
        variables,
        standin: None,
        log: Log::Terminal(up.log_format),
        access_log: None,
    }
}

async fn start(
    up: &Up,
    setup: Setup,
    policy: &Policy,
    beside: Beside,
    folder: &Folder,
) -> anyhow::Result<Running> {
    let plane = DataPlane::start(setup, policy).await?;
    let url = up.proxy_url.clone().map_or_else(|| plane.url(), Ok)?;
    let registry = beside.serve(url, folder).await?;
    Ok(Running { plane, registry })
}

/// Tells the addresses. The first password is in a file: the log may be kept.
fn tell(running: &Running, policy: &Policy, registry: &str) {
    let Running { plane, registry: serving } = running;
    tracing::info!("listening on {}://{}", scheme(plane.has_tls()), plane.address());
    if let Some(admin) = plane.admin_address() {
        tracing::info!("the admin interface of Envoy is at http://{admin}");
    }
    tracing::info!("the dashboard is at {}/admin", Serving::url(serving));
    if let Some((has_tls, address)) = serving.outside() {
        tracing::info!("other machines reach the dashboard on {}://{address}", scheme(has_tls));
        if !has_tls && !address.ip().is_loopback() {
            tracing::warn!(
                "without `--tls-cert` the password of the dashboard crosses the network in the clear"
            );
        }
    }
    if let Password::InFile(file) = serving.password() {
        tracing::info!("the password of the dashboard is in `{}`", visible(&file.display().to_string()));
    }
    if !policy.asks(registry) {
        tracing::warn!("the policy names another registry: it does not know the tokens of this dashboard");
    }
}

/// Puts the policy of the file in force, if the policy is another and is valid. Otherwise the former one stays in force.
async fn change(source: &Source<'_>, plane: &mut DataPlane, in_force: &mut Value) {
    let (name, read) = match source.read() {
        Ok(read) => read,
        Err(error) => return tracing::error!("the former policy stays in force: {error:#}"),
    };
    match read {
        Ok(policy) if policy.document == *in_force => {}
        Ok(policy) => match plane.apply(&policy).await {
            Ok(()) => {
                tracing::info!("{name} is in force");
                *in_force = policy.document;
            }
            Err(error) => tracing::error!("the former policy stays in force: {error:#}"),
        },
        Err(errors) => {
            for line in error_lines(&errors).lines() {
                tracing::error!("{name}: {line}");
            }
            tracing::error!("the former policy stays in force: {name} is invalid");
        }
    }
}

/// Takes the certificate of the files, if both fit together. Otherwise the former one stays in use.
async fn renew(renewal: Option<&Renewal>, plane: &mut DataPlane) {
    let Some(renewal) = renewal else { return };
    let renewed = async { plane.renew(&renewal.certificate().secret()?).await };
    match renewed.await {
        Ok(()) => tracing::info!("the certificate of `--tls-cert` is in use"),
        Err(error) => tracing::error!("the former certificate stays in use: {error:#}"),
    }
}
