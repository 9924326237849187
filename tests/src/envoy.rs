//! An Envoy with the shipped bootstrap, as a child process that ends when its value is dropped.

mod admin;
mod variants;

use std::{
    collections::BTreeMap,
    env, fs,
    net::SocketAddr,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use self::admin::{admin, admin_address, as_of_filter, listener_address, serves};
use crate::{
    Standin,
    bootstrap::Bootstrap,
    builds::{Build, FILTER, MODULE},
    server::{PATIENCE, Process, Server, pause},
    tools, until,
};

/// The file of a listener that can be replaced.
const LISTENER_FILE: &str = "listener.json";

/// The variable that puts the dynamic module in the place of the filter, for every test that does not say otherwise.
pub const NATIVE: &str = "KEYSWAP_TESTS_NATIVE";

/// The set-up of an Envoy.
pub struct Setup {
    program: Result<PathBuf>,
    bootstrap: Result<Bootstrap>,
    has_keyswap: bool,
    is_native: bool,
    module: &'static Build,
    filter: Option<PathBuf>,
    env: BTreeMap<String, String>,
    concurrency: u32,
    log_level: String,
    filter_log_level: String,
    is_reloadable: bool,
}

impl Setup {
    /// Returns a set-up with the shipped bootstrap and this policy, or without Keyswap. It has one worker and free
    /// ports.
    fn new(policy: Option<&Value>) -> Self {
        Self::of(Bootstrap::shipped(), policy.is_some()).change(|bootstrap| match policy {
            Some(policy) => bootstrap.set_policy(policy),
            None => bootstrap.remove_keyswap(),
        })
    }

    fn of(bootstrap: Result<Bootstrap>, has_keyswap: bool) -> Self {
        let setup = Self {
            program: tools::envoy(),
            bootstrap,
            has_keyswap,
            is_native: has_keyswap && env::var_os(NATIVE).is_some(),
            module: &MODULE,
            filter: None,
            env: BTreeMap::new(),
            concurrency: 1,
            log_level: "warning".to_owned(),
            filter_log_level: "info".to_owned(),
            is_reloadable: false,
        };
        setup.change(|bootstrap| bootstrap.set_ports(0, 0))
    }

    /// Sets a variable in Envoy's environment, which is empty otherwise, and passes it to the filter.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Loads another filter than this project's, as from a former release.
    #[must_use]
    pub fn filter(mut self, filter: &Path) -> Self {
        self.filter = Some(filter.to_owned());
        self
    }

    /// Replaces every upstream with the stand-in. TLS and server names stay as shipped.
    #[must_use]
    pub fn upstream(self, standin: &Standin) -> Self {
        self.change(|bootstrap| bootstrap.set_upstream(standin.address(), &standin.ca_file()))
    }

    /// Speaks with the upstreams over HTTP/2. Must be called before [`Setup::plain_upstream`].
    #[must_use]
    pub fn http2_upstreams(self) -> Self {
        self.change(Bootstrap::set_http2_upstreams)
    }

    /// Lets HTTP/1.1 have trailers on both sides.
    #[must_use]
    pub fn http1_trailers(self) -> Self {
        self.change(Bootstrap::set_http1_trailers)
    }

    /// Replaces every upstream with the server at `address`, in plain HTTP.
    #[must_use]
    pub fn plain_upstream(self, address: SocketAddr) -> Self {
        self.change(|bootstrap| bootstrap.set_plain_upstream(address))
    }

    /// Adds upstreams that the shipped bootstrap lacks. Must be called before [`Setup::upstream`].
    #[must_use]
    pub fn upstream_hosts<'h>(self, hosts: impl IntoIterator<Item = &'h str>) -> Self {
        self.change(|bootstrap| {
            let missing: Vec<&str> = hosts.into_iter().filter(|host| !bootstrap.has_upstream(host)).collect();
            missing.into_iter().try_for_each(|host| bootstrap.add_upstream(host))
        })
    }

    /// Sets the address of the registry.
    #[must_use]
    pub fn registry(self, address: SocketAddr) -> Self {
        self.change(|bootstrap| bootstrap.set_registry(address))
    }

    /// Adds a cluster for `address`, in plain HTTP.
    #[must_use]
    pub fn cluster(self, name: &str, address: SocketAddr) -> Self {
        self.change(|bootstrap| bootstrap.add_cluster(name, address))
    }

    /// Uses the real upstreams, verified with the certificate authorities of this system.
    #[must_use]
    pub fn real_upstreams(self) -> Self {
        self.change(Bootstrap::set_system_ca)
    }

    /// Adds the parts of another file of `envoy/`.
    #[must_use]
    pub fn overlay(self, file: &str) -> Self {
        self.change(|bootstrap| bootstrap.overlay(file))
    }

    /// Adds the parts of a text.
    #[must_use]
    pub fn overlay_text(self, text: &str) -> Self {
        self.change(|bootstrap| bootstrap.overlay_text(text))
    }

    /// Sets fixed ports.
    #[must_use]
    pub fn ports(self, listener: u16, admin: u16) -> Self {
        self.change(|bootstrap| bootstrap.set_ports(listener, admin))
    }

    /// Sets the number of workers.
    #[must_use]
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// Sets the level of Envoy's own log. At `debug` and below Envoy logs the headers of requests.
    #[must_use]
    pub fn log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.log_level);
        self
    }

    /// Sets the level of the filter's log.
    #[must_use]
    pub fn filter_log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.filter_log_level);
        self
    }

    /// Puts the dynamic module in the place of the filter.
    #[must_use]
    pub fn native(self) -> Self {
        self.native_of(&MODULE)
    }

    /// Puts this build of the dynamic module in the place of the filter.
    #[must_use]
    pub(crate) fn native_of(self, module: &'static Build) -> Self {
        Self { is_native: true, module, ..self }
    }

    /// Reads the listener from a file, like from a control plane. [`Envoy::reload`] replaces it.
    #[must_use]
    pub fn reloadable(mut self) -> Self {
        self.is_reloadable = true;
        self
    }

    /// Removes the access log.
    #[must_use]
    pub fn without_access_log(self) -> Self {
        self.change(Bootstrap::remove_access_log)
    }

    /// Changes the bootstrap, after all other changes.
    #[must_use]
    pub fn tweak(self, tweak: impl FnOnce(&mut Value)) -> Self {
        self.change(|bootstrap| {
            tweak(bootstrap.json());
            Ok(())
        })
    }

    /// Starts Envoy and waits until it serves.
    pub fn start(self) -> Result<Envoy> {
        let is_native = self.is_native;
        let (mut process, bootstrap) = self.spawn()?;
        let admin = process.wait_for(admin_address)?;
        process.wait_for(|_| Ok(serves(admin)))?;
        Ok(Envoy { server: Server::new(process, listener_address(admin)?), admin, bootstrap, is_native })
    }

    /// Starts Envoy, which must refuse its configuration. Returns the log.
    pub fn refused(self) -> Result<String> {
        let (mut process, _) = self.spawn()?;
        let started = Instant::now();
        loop {
            if let Some(status) = process.ended()? {
                ensure!(!status.success(), "Envoy ended as if nothing were wrong:\n{}", process.log());
                return Ok(process.log());
            }
            let serving = admin_address(&process)?.and_then(serves);
            ensure!(serving.is_none(), "Envoy accepted the configuration:\n{}", process.last_lines());
            ensure!(started.elapsed() < PATIENCE, "Envoy did not decide:\n{}", process.last_lines());
            pause(started);
        }
    }

    /// Validates the configuration with Envoy, without serving. Returns the log.
    pub fn validate(self) -> Result<String> {
        let (mut process, _) = self.run(&["--mode", "validate"])?;
        let status = process.wait()?;
        ensure!(status.success(), "Envoy finds the configuration invalid:\n{}", process.log());
        Ok(process.log())
    }

    fn change(mut self, change: impl FnOnce(&mut Bootstrap) -> Result<()>) -> Self {
        self.bootstrap = self.bootstrap.and_then(|mut bootstrap| {
            change(&mut bootstrap)?;
            Ok(bootstrap)
        });
        self
    }

    fn spawn(self) -> Result<(Process, Bootstrap)> {
        self.run(&[])
    }

    /// Starts the process. Returns it with the bootstrap, whose listener is inline.
    fn run(self, arguments: &[&str]) -> Result<(Process, Bootstrap)> {
        let mut bootstrap = self.bootstrap?;
        let mut command = Command::new(self.program?);
        command.env_clear();
        let mut whole = None;
        if self.is_native {
            whole = Some(bootstrap.clone());
            bootstrap.use_module()?;
            let module = self.module.path()?;
            command.env(
                "ENVOY_DYNAMIC_MODULES_SEARCH_PATH",
                module.parent().context("a module is in a folder")?,
            );
        } else if self.has_keyswap {
            // A bootstrap that fetches the filter stays: the test concerns the fetch.
            if bootstrap.loads_a_file() {
                bootstrap.set_filter(&self.filter.map_or_else(|| FILTER.path(), Ok)?)?;
            }
            bootstrap.set_environment(self.env.keys())?;
        }
        let folder = tempfile::tempdir()?;
        let whole = whole.unwrap_or_else(|| bootstrap.clone());
        if self.is_reloadable {
            bootstrap.use_listener_file(&folder.path().join(LISTENER_FILE))?;
        }
        let file = folder.path().join("bootstrap.json");
        fs::write(&file, bootstrap.json().to_string())?;

        command
            .arg("--config-path")
            .arg(&file)
            .args(["--disable-hot-restart", "--file-flush-interval-msec", "50", "--drain-time-s", "1"])
            .args(["--concurrency", &self.concurrency.to_string()])
            .args(["--log-level", &self.log_level])
            .arg("--component-log-level")
            .arg(format!("wasm:{0},dynamic_modules:{0}", self.filter_log_level))
            .arg("--admin-address-path")
            .arg(folder.path().join("admin"))
            .args(arguments)
            .envs(&self.env)
            .stdout(fs::File::create(folder.path().join("access.log"))?);
        Ok((Process::spawn("Envoy", command, folder)?, whole))
    }
}

/// A running Envoy. The process ends on drop.
#[derive(Debug)]
pub struct Envoy {
    server: Server,
    admin: SocketAddr,
    bootstrap: Bootstrap,
    is_native: bool,
}

impl Deref for Envoy {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Envoy {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl Envoy {
    /// Returns a set-up with this policy.
    pub fn with(policy: &Value) -> Setup {
        Setup::new(Some(policy))
    }

    /// Returns a set-up with a bootstrap that has the structure of the shipped one.
    pub fn with_bootstrap(text: &str) -> Setup {
        Setup::of(Bootstrap::parse(text), true)
    }

    /// Returns a set-up without Keyswap. [`Setup::overlay_text`] can add other filters.
    pub fn without_keyswap() -> Setup {
        Setup::new(None)
    }

    /// Returns the address of the admin interface.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Returns the answer of the admin interface at a path such as `/stats`.
    /// The module's counters have the names of the filter's there, so that one test is for both.
    pub fn admin(&self, path: &str) -> Result<String> {
        let names = path.strip_prefix("/stats").filter(|rest| self.is_native && !rest.starts_with('/'));
        names.map_or_else(|| admin(self.admin, path), |wanted| as_of_filter(self.admin, wanted))
    }

    /// Waits until the statistics at a path have all of these texts: workers hand counts over about once a second.
    pub fn has_counted(&self, path: &str, texts: &[&str]) -> Result<()> {
        admin::until_it_has(|| self.admin(path), texts)
    }

    /// Returns whether the dynamic module is in the place of the filter.
    pub fn is_native(&self) -> bool {
        self.is_native
    }

    /// Returns the value of a statistic, 0 if Envoy has none of that name.
    pub fn stat(&self, name: &str) -> Result<u64> {
        let stats = self.admin("/stats")?;
        let line = stats.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map_or(Ok(0), |value| value.parse().with_context(|| format!("`{name}` is no number: {value}")))
    }

    /// Replaces the policy of a [`Setup::reloadable`] Envoy, and waits until the new listener is in use.
    pub fn reload(&self, policy: &Value) -> Result<()> {
        const UPDATES: &str = "listener_manager.listener_in_place_updated";
        let mut bootstrap = self.bootstrap.clone();
        bootstrap.set_policy(policy)?;
        if self.is_native {
            bootstrap.use_module()?;
        }
        let before = self.stat(UPDATES)?;
        bootstrap.use_listener_file(&self.log_folder().join(LISTENER_FILE))?;
        until("the listener is replaced", || Ok(self.stat(UPDATES)? > before)).map(drop)
    }

    /// Waits until the access log has `lines` lines or more, and returns it. A line is written after the answer.
    pub fn access_log(&self, lines: usize) -> Result<Vec<Value>> {
        let started = Instant::now();
        loop {
            let text = fs::read_to_string(self.log_folder().join("access.log"))?;
            let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
            let found: Vec<_> = complete.lines().collect();
            if found.len() >= lines {
                return found.into_iter().map(|line| Ok(serde_json::from_str(line)?)).collect();
            }
            ensure!(started.elapsed() < PATIENCE, "the access log has {} lines, not {lines}", found.len());
            pause(started);
        }
    }
}
