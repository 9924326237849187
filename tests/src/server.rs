//! An HTTP server as a child process with a log, which ends when its value is dropped.

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
    http2::{self, Leave, Slices},
};

/// The time limit of a start, far beyond that of a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// The number of log lines that an error shows.
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

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the port that the server listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the base URL for clients, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends a request and waits for the whole answer.
    pub fn send(&self, request: &Request) -> Result<Response> {
        http::send(self.address, request).with_context(|| self.last_lines())
    }

    /// Sends a request whose body is written in slices of this size, chunked or with its length. Returns the bytes of the
    /// answer: none where the connection was closed without one.
    pub fn send_sliced(&self, request: &Request, slice: usize, is_chunked: bool) -> Result<String> {
        http::send_sliced(self.address, request, slice, is_chunked)
    }

    /// Sends a request over HTTP/2, with its body in slices, and waits for the whole answer.
    pub fn send_http2(&self, request: &Request, slices: Slices<'_>) -> Result<Response> {
        http2::send(self.address, request, slices).with_context(|| self.last_lines())
    }

    /// Sends requests at once on one HTTP/2 connection, and resets each stream in its state. Returns the statuses of the
    /// answers that were waited for.
    pub fn leave_http2(&self, requests: &[(Request, Leave)]) -> Result<Vec<Option<u16>>> {
        http2::leave(self.address, requests).with_context(|| self.last_lines())
    }

    /// Sends a request. Returns when the head of the answer has arrived.
    pub fn open(&self, request: &Request) -> Result<Answer> {
        http::open(self.address, request).with_context(|| self.last_lines())
    }

    /// Sends bytes that need not be a valid request.
    pub fn open_raw(&self, bytes: &[u8]) -> Result<Answer> {
        http::open_raw(self.address, bytes).with_context(|| self.last_lines())
    }

    /// Sends all requests at once, each on its own connection, and waits for all answers.
    pub fn burst(&self, requests: &[Request]) -> Result<Vec<Response>> {
        http::burst(self.address, requests).with_context(|| self.last_lines())
    }

    /// Returns the meter of the process's resources.
    pub fn meter(&self) -> Meter {
        Meter::of(&self.process.child)
    }

    /// Returns the process's memory, in bytes.
    pub fn memory(&self) -> Result<u64> {
        self.meter().memory()
    }

    /// Returns the CPU time of the process.
    pub fn processor_time(&self) -> Result<Duration> {
        self.meter().processor_time()
    }

    /// Returns the log of the host and of Keyswap in it.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Returns the folder of the logs, which is deleted on drop.
    pub fn log_folder(&self) -> &Path {
        self.process.folder()
    }

    /// Returns the exit status, `None` while the process runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.ended()
    }

    /// Returns the last lines of the log.
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
    /// Starts `command`, whose standard error goes to a log in `folder`.
    pub(crate) fn spawn(name: &'static str, mut command: Command, folder: TempDir) -> Result<Self> {
        command.stdin(Stdio::null()).stderr(File::create(folder.path().join(log_of(name)))?);
        end_with_parent(&mut command);
        let child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        Ok(Self { name, child, folder })
    }

    /// Repeats `ask` until it returns an answer. The end of the process, or a timeout, is an error.
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

/// Sleeps between two attempts: a tenth of the time that has passed, from 2 to 100 milliseconds.
pub(crate) fn pause(started: Instant) {
    thread::sleep((started.elapsed() / 10).clamp(Duration::from_millis(2), Duration::from_millis(100)));
}

/// Ties a child to its parent. Ctrl-C in a terminal reaches only the parent, which then ends the child. On Linux the
/// kernel ends the child when the thread that started it ends, so that a killed test leaves no process behind.
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
