//! An Envoy with the filter or the module, whose listener and clusters are replaced while it serves.
//!
//! A new policy reaches Envoy in two steps: first the clusters that it needs, then the listener with the policy. Envoy
//! goes on with the former policy until the new listener is whole. Requests that run end under the policy that they began
//! with. Clusters of the former policy stay for them until the next change.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::slice;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use serde_json::Value;

use super::admin::Admin;
use super::files::{Files, Places, replace, resources, with_former};
use super::setup::Setup;
use crate::command::up::certificate::statistics;
use crate::command::up::child::{Child, INTERVAL, Log, arguments};
use crate::command::up::host::Host;
use crate::command::up::policy::Policy;

/// The time limit for Envoy to take a new configuration.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time in which connections of a former listener end. A stream that lasts longer is ended then.
const DRAIN_SECONDS: &str = "600";
/// The interval in which the access log is written.
const FLUSH_MILLISECONDS: &str = "100";

/// A running Envoy.
pub(super) struct Envoy {
    child: Child,
    admin: Admin,
    address: SocketAddr,
    places: Places,
    listeners: Value,
    /// The clusters of the policy in force.
    clusters: Vec<Value>,
}

impl Envoy {
    /// Starts Envoy, and waits until it serves.
    pub(super) async fn start(setup: &Setup, policy: &Policy) -> anyhow::Result<Self> {
        let places = Places::in_folder(&setup.folder);
        let files = Files::render(policy, setup, &places)?;
        files.write(&places, setup.secret.as_ref())?;
        let stdout = match &setup.access_log {
            Some(file) => File::create(file).context("cannot create the access log")?.into(),
            None => Stdio::inherit(),
        };
        let variables = match (setup.host, setup.artefact.parent()) {
            (Host::Module, Some(folder)) => {
                setup.variables.clone().with("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", folder)
            }
            _ => setup.variables.clone(),
        };
        let arguments = options(setup, &places.bootstrap);
        let mut child =
            Child::start("Envoy", &setup.program, arguments, &variables, stdout, setup.log.clone())?;
        let file = setup.folder.join("admin");
        let admin = child.wait_for(async |_| admin_address(&file)).await?;
        let admin = Admin::at(admin)?;
        let address = child.wait_for(async |_| listens(&admin).await).await?;
        Ok(Self { child, admin, address, places, listeners: files.listeners, clusters: files.clusters })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Puts a policy in force. After an error the former one is in force as before.
    pub(super) async fn apply(&mut self, setup: &Setup, policy: &Policy) -> anyhow::Result<()> {
        let Files { listeners, clusters, .. } = Files::render(policy, setup, &self.places)?;
        let taken = match tokio::time::timeout(PATIENCE, self.take(&listeners, &clusters)).await {
            Ok(taken) => taken,
            Err(_) => Err(anyhow::anyhow!("Envoy does not take the configuration")),
        };
        if let Err(error) = taken {
            // Envoy keeps the former configuration in force, and the files must lead to it, too.
            replace(&self.places.listeners, &self.listeners)?;
            replace(&self.places.clusters, &resources(&self.clusters))?;
            return Err(error);
        }
        (self.listeners, self.clusters) = (listeners, clusters);
        Ok(())
    }

    /// Replaces the certificate for callers. After an error the former one is in use as before.
    pub(super) async fn renew(&self, secret: &Value) -> anyhow::Result<()> {
        let file = &self.places.secret;
        let former = fs::read_to_string(file).context("there is no certificate to replace")?;
        let content = resources(slice::from_ref(secret));
        let taken = tokio::time::timeout(PATIENCE, self.update(&statistics(), file, &content)).await;
        let taken = taken.unwrap_or_else(|_| Err(anyhow::anyhow!("Envoy does not take the certificate")));
        if taken.is_err() {
            replace(file, &serde_json::from_str(&former)?)?;
        }
        taken.map(drop)
    }

    async fn take(&self, listeners: &Value, clusters: &[Value]) -> anyhow::Result<()> {
        let all = resources(&with_former(clusters, &self.clusters));
        self.update("cluster_manager.cds", &self.places.clusters, &all).await?;
        // A listener that routes to a cluster before its addresses are known would answer 503.
        self.until_zero("cluster_manager.warming_clusters").await?;
        let adoptions = "listener_manager.listener_create_success";
        let before = self.admin.stat(adoptions).await?;
        if self.update("listener_manager.lds", &self.places.listeners, listeners).await? {
            // Each worker adopts the listener for itself, and takes new connections by the former one until then.
            let workers = self.admin.stat("server.concurrency").await?;
            while self.admin.stat(adoptions).await? < before + workers {
                tokio::time::sleep(INTERVAL).await;
            }
        }
        Ok(())
    }

    /// Replaces a file that Envoy watches, and waits until Envoy has taken it. Returns false if the file is the same.
    async fn update(&self, kind: &str, file: &Path, content: &Value) -> anyhow::Result<bool> {
        let current = fs::read_to_string(file).unwrap_or_default();
        if serde_json::from_str::<Value>(&current).is_ok_and(|current| current == *content) {
            return Ok(false);
        }
        let [taken, refused, broken] = ["update_success", "update_rejected", "update_failure"]
            .map(|outcome| format!("{kind}.{outcome}"));
        let counts = async || {
            anyhow::Ok((
                self.admin.stat(&taken).await?,
                self.admin.stat(&refused).await?,
                self.admin.stat(&broken).await?,
            ))
        };
        let before = counts().await?;
        replace(file, content)?;
        loop {
            let now = counts().await?;
            if now.1 > before.1 || now.2 > before.2 {
                bail!("Envoy refuses the configuration: its log says why");
            }
            if now.0 > before.0 {
                return Ok(true);
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn until_zero(&self, gauge: &str) -> anyhow::Result<()> {
        while self.admin.stat(gauge).await? > 0 {
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(())
    }

    /// Takes no more connections, and returns when all requests in progress have ended.
    pub(super) async fn drain(&self) -> anyhow::Result<()> {
        // Answers from now on close their connections.
        self.admin.post("/healthcheck/fail").await?;
        self.admin.post("/drain_listeners").await?;
        self.until_zero("http.keyswap.downstream_rq_active").await
    }

    /// Ends the process.
    pub(super) async fn end(&mut self) -> anyhow::Result<()> {
        self.child.signal(Signal::TERM);
        self.child.wait().await.map(drop)
    }
}

fn options(setup: &Setup, bootstrap: &Path) -> Vec<OsString> {
    let mut options = arguments([
        "--disable-hot-restart",
        "--drain-time-s",
        DRAIN_SECONDS,
        // The next answer on a connection that is open closes it, so that its later requests meet the new policy.
        "--drain-strategy",
        "immediate",
        "--file-flush-interval-msec",
        FLUSH_MILLISECONDS,
        "--log-level",
        "warning",
        "--component-log-level",
        "wasm:info,dynamic_modules:info",
    ]);
    options.extend(["--config-path".into(), bootstrap.into()]);
    options.extend(["--admin-address-path".into(), setup.folder.join("admin").into()]);
    if let Some(workers) = setup.workers {
        options.extend(arguments(["--concurrency", &workers.to_string()]));
    }
    if let Log::Terminal(format) = &setup.log
        && let Some(format) = format.of_envoy()
    {
        options.extend(arguments(["--log-format", format]));
    }
    options
}

/// Returns the address in the file, `None` while it is incomplete: Envoy does not write it atomically.
fn admin_address(file: &Path) -> anyhow::Result<Option<SocketAddr>> {
    match fs::read_to_string(file) {
        Ok(address) => Ok(address.trim().parse().ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns the address of the listener, `None` while Envoy starts. A refused listener is an error.
async fn listens(admin: &Admin) -> anyhow::Result<Option<SocketAddr>> {
    // The process may have ended between its file and this call, which the caller notices.
    if !admin.is_live().await {
        return Ok(None);
    }
    if admin.stat("listener_manager.lds.update_rejected").await? > 0 {
        bail!("Envoy refuses its listener: its log says why");
    }
    if admin.stat(&format!("{}.update_rejected", statistics())).await? > 0 {
        bail!("Envoy cannot use `--tls-cert` and `--tls-key`: its log says why");
    }
    admin.listener().await
}
