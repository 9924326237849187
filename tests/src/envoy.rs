//! A real Envoy with the shipped bootstrap, as a child process that ends with the value that stands for it.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Meter, Standin,
    bootstrap::Bootstrap,
    filter::filter_wasm,
    http::{self, Answer, Request, Response},
    tools, until,
};

/// Far beyond what Envoy needs on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// How many lines of Envoy's log an error shows.
const LAST_LINES: usize = 30;
/// Where a listener is that can be replaced.
const LISTENER_FILE: &str = "listener.json";

/// What an Envoy is to be started with.
pub struct Setup {
    bootstrap: Result<Bootstrap>,
    has_keyswap: bool,
    env: BTreeMap<String, String>,
    concurrency: u32,
    log_level: String,
    filter_log_level: String,
    is_reloadable: bool,
}

impl Setup {
    /// The shipped bootstrap with this policy, or without Keyswap; one worker, and ports that are free.
    fn new(policy: Option<&Value>) -> Self {
        Self::of(Bootstrap::shipped(), policy.is_some()).change(|bootstrap| match policy {
            Some(policy) => bootstrap.set_policy(policy),
            None => bootstrap.remove_keyswap(),
        })
    }

    fn of(bootstrap: Result<Bootstrap>, has_keyswap: bool) -> Self {
        let setup = Self {
            bootstrap,
            has_keyswap,
            env: BTreeMap::new(),
            concurrency: 1,
            log_level: "warning".to_owned(),
            filter_log_level: "info".to_owned(),
            is_reloadable: false,
        };
        setup.change(|bootstrap| bootstrap.set_ports(0, 0))
    }

    /// Sets a variable in the environment of Envoy, which holds nothing else, and lets the filter see it.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The stand-in takes the place of every upstream; TLS and server names stay as shipped.
    #[must_use]
    pub fn upstream(self, standin: &Standin) -> Self {
        self.change(|bootstrap| bootstrap.set_upstream(standin.address(), &standin.ca_file()))
    }

    /// The server at `address` takes the place of every upstream, in plain HTTP.
    #[must_use]
    pub fn plain_upstream(self, address: SocketAddr) -> Self {
        self.change(|bootstrap| bootstrap.set_plain_upstream(address))
    }

    /// The upstreams that the shipped bootstrap lacks are added to it. To be said before [`Setup::upstream`].
    #[must_use]
    pub fn upstream_hosts<'h>(self, hosts: impl IntoIterator<Item = &'h str>) -> Self {
        self.change(|bootstrap| {
            let missing: Vec<&str> = hosts.into_iter().filter(|host| !bootstrap.has_upstream(host)).collect();
            missing.into_iter().try_for_each(|host| bootstrap.add_upstream(host))
        })
    }

    /// Tokens are looked up at `address`.
    #[must_use]
    pub fn registry(self, address: SocketAddr) -> Self {
        self.change(|bootstrap| bootstrap.set_registry(address))
    }

    /// A cluster of this name reaches `address` in plain HTTP.
    #[must_use]
    pub fn cluster(self, name: &str, address: SocketAddr) -> Self {
        self.change(|bootstrap| bootstrap.add_cluster(name, address))
    }

    /// The true upstreams, verified with the authorities of this system.
    #[must_use]
    pub fn real_upstreams(self) -> Self {
        self.change(Bootstrap::set_system_ca)
    }

    /// Adds what another file of `envoy/` has.
    #[must_use]
    pub fn overlay(self, file: &str) -> Self {
        self.change(|bootstrap| bootstrap.overlay(file))
    }

    /// Adds the same from a text.
    #[must_use]
    pub fn overlay_text(self, text: &str) -> Self {
        self.change(|bootstrap| bootstrap.overlay_text(text))
    }

    /// Fixed ports, for people.
    #[must_use]
    pub fn ports(self, listener: u16, admin: u16) -> Self {
        self.change(|bootstrap| bootstrap.set_ports(listener, admin))
    }

    /// The number of workers.
    #[must_use]
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// The level of Envoy's own log. At `debug` and below Envoy logs the headers of requests.
    #[must_use]
    pub fn log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.log_level);
        self
    }

    /// The level of what the filter logs.
    #[must_use]
    pub fn filter_log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.filter_log_level);
        self
    }

    /// The listener comes from a file, as it would from a control plane, and [`Envoy::reload`] replaces it.
    #[must_use]
    pub fn reloadable(mut self) -> Self {
        self.is_reloadable = true;
        self
    }

    /// No request is written to the access log.
    #[must_use]
    pub fn without_access_log(self) -> Self {
        self.change(Bootstrap::remove_access_log)
    }

    /// Changes the bootstrap, after all else.
    #[must_use]
    pub fn tweak(self, tweak: impl FnOnce(&mut Value)) -> Self {
        self.change(|bootstrap| {
            tweak(bootstrap.json());
            Ok(())
        })
    }

    /// Starts Envoy and waits until it serves.
    pub fn start(self) -> Result<Envoy> {
        let mut process = self.spawn()?;
        let admin = process.wait_for(Process::admin_address)?;
        process.wait_for(|_| Ok(serves(admin)))?;
        let address = listener_address(admin)?;
        Ok(Envoy { process, admin, address })
    }

    /// Starts Envoy, which must refuse its configuration; returns what it logged.
    pub fn refused(self) -> Result<String> {
        let mut process = self.spawn()?;
        let started = Instant::now();
        loop {
            if let Some(status) = process.child.try_wait()? {
                ensure!(!status.success(), "Envoy ended as if nothing were wrong:\n{}", process.log());
                return Ok(process.log());
            }
            let serving = process.admin_address()?.and_then(serves);
            ensure!(serving.is_none(), "Envoy accepted the configuration:\n{}", process.last_lines());
            ensure!(started.elapsed() < PATIENCE, "Envoy did not decide:\n{}", process.last_lines());
            pause(started);
        }
    }

    /// Lets Envoy check its configuration without serving; returns what it logged.
    pub fn validate(self) -> Result<String> {
        let mut process = self.run(&["--mode", "validate"])?;
        let status = process.child.wait()?;
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

    fn spawn(self) -> Result<Process> {
        self.run(&[])
    }

    fn run(self, arguments: &[&str]) -> Result<Process> {
        let mut bootstrap = self.bootstrap?;
        if self.has_keyswap {
            // Where the filter is fetched, that is what the test is about.
            if bootstrap.loads_a_file() {
                bootstrap.set_filter(&filter_wasm()?)?;
            }
            bootstrap.set_environment(self.env.keys())?;
        }
        let folder = tempfile::tempdir()?;
        let whole = bootstrap.clone();
        if self.is_reloadable {
            bootstrap.use_listener_file(&folder.path().join(LISTENER_FILE))?;
        }
        let file = folder.path().join("bootstrap.json");
        fs::write(&file, bootstrap.json().to_string())?;

        let mut command = Command::new(tools::envoy()?);
        command
            .arg("--config-path")
            .arg(&file)
            .args(["--disable-hot-restart", "--file-flush-interval-msec", "50", "--drain-time-s", "1"])
            .args(["--concurrency", &self.concurrency.to_string()])
            .args(["--log-level", &self.log_level])
            .arg("--component-log-level")
            .arg(format!("wasm:{}", self.filter_log_level))
            .arg("--admin-address-path")
            .arg(folder.path().join("admin"))
            .args(arguments)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(fs::File::create(folder.path().join("access.log"))?)
            .stderr(fs::File::create(folder.path().join("envoy.log"))?);
        end_with_parent(&mut command);
        let child = command.spawn().context("cannot run Envoy")?;
        Ok(Process { child, folder, bootstrap: whole })
    }
}

/// A running Envoy; it ends when this is dropped.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
    address: SocketAddr,
}

impl Envoy {
    /// An Envoy with this policy, to be started.
    pub fn with(policy: &Value) -> Setup {
        Setup::new(Some(policy))
    }

    /// An Envoy with a bootstrap of the shape of the shipped one, to be started.
    pub fn with_bootstrap(text: &str) -> Setup {
        Setup::of(Bootstrap::parse(text), true)
    }

    /// An Envoy without Keyswap, to be started. What becomes of requests is for [`Setup::overlay_text`] to say.
    pub fn without_keyswap() -> Setup {
        Setup::new(None)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The base URL for clients, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where its admin interface listens.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Sends a request and waits for the whole answer.
    pub fn send(&self, request: &Request) -> Result<Response> {
        http::send(self.address, request).with_context(|| self.process.last_lines())
    }

    /// Sends a request and returns when the head of the answer is there.
    pub fn open(&self, request: &Request) -> Result<Answer> {
        http::open(self.address, request).with_context(|| self.process.last_lines())
    }

    /// Sends bytes that need not be a request at all.
    pub fn open_raw(&self, bytes: &[u8]) -> Result<Answer> {
        http::open_raw(self.address, bytes).with_context(|| self.process.last_lines())
    }

    /// Sends all requests at once, each on a connection of its own, and waits for all answers.
    pub fn burst(&self, requests: &[Request]) -> Result<Vec<Response>> {
        http::burst(self.address, requests).with_context(|| self.process.last_lines())
    }

    /// What it has used.
    pub fn meter(&self) -> Meter {
        Meter::of(&self.process.child)
    }

    /// The memory that it holds, in bytes.
    pub fn memory(&self) -> Result<u64> {
        self.meter().memory()
    }

    /// The processor time that it has used.
    pub fn processor_time(&self) -> Result<Duration> {
        self.meter().processor_time()
    }

    /// What the admin interface says at a path such as `/stats`.
    pub fn admin(&self, path: &str) -> Result<String> {
        admin(self.admin, path)
    }

    /// The value of a statistic; 0 if Envoy has none of that name.
    pub fn stat(&self, name: &str) -> Result<u64> {
        let stats = self.admin("/stats")?;
        let line = stats.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map_or(Ok(0), |value| value.parse().with_context(|| format!("`{name}` is no number: {value}")))
    }

    /// Gives a [`Setup::reloadable`] Envoy the listener with another policy, and waits until it is in use.
    pub fn reload(&self, policy: &Value) -> Result<()> {
        const UPDATES: &str = "listener_manager.listener_in_place_updated";
        let mut bootstrap = self.process.bootstrap.clone();
        bootstrap.set_policy(policy)?;
        let before = self.stat(UPDATES)?;
        bootstrap.use_listener_file(&self.process.folder.path().join(LISTENER_FILE))?;
        until("the listener is replaced", || Ok(self.stat(UPDATES)? > before)).map(drop)
    }

    /// What Envoy and the filter have logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its access log, once it has `lines` lines or more. The line of a request is written after its answer.
    pub fn access_log(&self, lines: usize) -> Result<Vec<Value>> {
        let started = Instant::now();
        loop {
            let text = fs::read_to_string(self.process.folder.path().join("access.log"))?;
            let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
            let found: Vec<_> = complete.lines().collect();
            if found.len() >= lines {
                return found.into_iter().map(|line| Ok(serde_json::from_str(line)?)).collect();
            }
            ensure!(started.elapsed() < PATIENCE, "the access log has {} lines, not {lines}", found.len());
            pause(started);
        }
    }

    /// The folder of `envoy.log` and `access.log`; it goes when this is dropped.
    pub fn log_folder(&self) -> &Path {
        self.process.folder.path()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.process.child.try_wait()?)
    }

    /// The last lines of its log.
    pub fn last_lines(&self) -> String {
        self.process.last_lines()
    }
}

#[derive(Debug)]
struct Process {
    child: Child,
    folder: TempDir,
    /// As it would be without files beside it.
    bootstrap: Bootstrap,
}

impl Process {
    /// Asks until there is an answer; an Envoy that has ended will not give one.
    fn wait_for<T>(&mut self, ask: impl Fn(&Self) -> Result<Option<T>>) -> Result<T> {
        let started = Instant::now();
        loop {
            if let Some(answer) = ask(self)? {
                return Ok(answer);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("Envoy did not start ({status}):\n{}", self.last_lines());
            }
            ensure!(started.elapsed() < PATIENCE, "Envoy does not get ready:\n{}", self.last_lines());
            pause(started);
        }
    }

    /// Envoy writes the file in one go, but not atomically.
    fn admin_address(&self) -> Result<Option<SocketAddr>> {
        match fs::read_to_string(self.folder.path().join("admin")) {
            Ok(address) => Ok(address.trim().parse().ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn log(&self) -> String {
        let log = fs::read(self.folder.path().join("envoy.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn last_lines(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serves(admin_address: SocketAddr) -> Option<()> {
    admin(admin_address, "/ready").ok().filter(|state| state.trim() == "LIVE").map(drop)
}

fn admin(address: SocketAddr, path: &str) -> Result<String> {
    let response = http::send(address, &Request::get(path))?;
    ensure!(response.status == 200, "the admin interface answered {} to {path}", response.status);
    Ok(response.text())
}

fn listener_address(admin_address: SocketAddr) -> Result<SocketAddr> {
    let listeners: Value = serde_json::from_str(&admin(admin_address, "/listeners?format=json")?)?;
    let port = listeners.pointer("/listener_statuses/0/local_address/socket_address/port_value");
    let port = port.and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
    Ok((Ipv4Addr::LOCALHOST, port.context("Envoy does not say where it listens")?).into())
}

/// Between two questions: a tenth of the time that has passed, within limits.
fn pause(started: Instant) {
    thread::sleep((started.elapsed() / 10).clamp(Duration::from_millis(2), Duration::from_millis(100)));
}

/// Ctrl-C in a terminal is for the parent alone, which then ends its child. On Linux the kernel ends the child when the
/// thread that started it is gone, so that not even a killed test leaves one behind.
pub(crate) fn end_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        #[expect(
            unsafe_code,
            reason = "the closure makes one system call, which is safe between fork and exec"
        )]
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
        }
    }
}
