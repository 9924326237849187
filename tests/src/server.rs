//! A program that tests talk to over HTTP: a child process with its log, which ends with the value that stands for it.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::{
    Meter,
    http::{self, Answer, Request, Response},
};

/// Far beyond what a program needs to start on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// How many lines of a log an error shows.
const LAST_LINES: usize = 30;

/// A host that runs Keyswap and listens.
#[derive(Debug)]
pub struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    pub(crate) fn new(process: Process, address: SocketAddr) -> Self {
        Self { process, address }
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

    /// Sends a request and waits for the whole answer.
    pub fn send(&self, request: &Request) -> Result<Response> {
        http::send(self.address, request).with_context(|| self.last_lines())
    }

    /// Sends a request and returns when the head of the answer is there.
    pub fn open(&self, request: &Request) -> Result<Answer> {
        http::open(self.address, request).with_context(|| self.last_lines())
    }

    /// Sends bytes that need not be a request at all.
    pub fn open_raw(&self, bytes: &[u8]) -> Result<Answer> {
        http::open_raw(self.address, bytes).with_context(|| self.last_lines())
    }

    /// Sends all requests at once, each on a connection of its own, and waits for all answers.
    pub fn burst(&self, requests: &[Request]) -> Result<Vec<Response>> {
        http::burst(self.address, requests).with_context(|| self.last_lines())
    }

    /// Returns the meter of what it has used.
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

    /// Returns the lines that it has logged, and Keyswap in it.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The folder of its logs; it goes when this is dropped.
    pub fn log_folder(&self) -> &Path {
        self.process.folder()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.ended()
    }

    /// The last lines of its log.
    pub fn last_lines(&self) -> String {
        self.process.last_lines()
    }
}

#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Runs `command`, whose standard error goes to a log in `folder`.
    pub(crate) fn spawn(name: &'static str, mut command: Command, folder: TempDir) -> Result<Self> {
        command.stdin(Stdio::null()).stderr(File::create(folder.path().join(log_of(name)))?);
        end_with_parent(&mut command);
        let child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        Ok(Self { name, child, folder })
    }

    /// Asks until there is an answer; a program that has ended will not give one.
    pub(crate) fn wait_for<T>(&mut self, ask: impl Fn(&Self) -> Result<Option<T>>) -> Result<T> {
        let started = Instant::now();
        loop {
            if let Some(answer) = ask(self)? {
                return Ok(answer);
            }
            if let Some(status) = self.ended()? {
                bail!("{} did not start ({status}):\n{}", self.name, self.last_lines());
            }
            ensure!(started.elapsed() < PATIENCE, "{} does not get ready:\n{}", self.name, self.last_lines());
            pause(started);
        }
    }

    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.folder.path().join(log_of(self.name))).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    pub(crate) fn last_lines(&self) -> String {
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

fn log_of(name: &str) -> String {
    format!("{}.log", name.to_lowercase())
}

/// Between two questions: a tenth of the time that has passed, within limits.
pub(crate) fn pause(started: Instant) {
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
