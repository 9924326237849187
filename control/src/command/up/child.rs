//! The program of a host as a child process. It ends with this process, and its last lines tell why it ended.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{ChildStderr, Command};
use tokio::task::JoinHandle;

use super::variables::Variables;
use crate::command::log::LogFormat;
use crate::command::terminal::output::visible;

/// The number of log lines that an error shows.
const LAST_LINES: usize = 30;
/// The time after the end of a process in which its last lines arrive.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The interval between two looks at a process that starts.
pub(super) const INTERVAL: Duration = Duration::from_millis(20);
/// The time limit of a start, far beyond that of a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// The place of a program's log.
#[derive(Clone)]
pub(super) enum Log {
    /// Standard error, where the lines of this process are, too.
    Terminal(LogFormat),
    /// A file.
    File(PathBuf),
}

/// A child process.
pub(super) struct Child {
    name: &'static str,
    process: tokio::process::Child,
    lines: Arc<Mutex<VecDeque<String>>>,
    /// The reader of the log, until its end was waited for.
    reader: Option<JoinHandle<()>>,
}

impl Child {
    /// Starts a program whose environment has these variables alone.
    pub(super) fn start(
        name: &'static str,
        program: &Path,
        arguments: impl IntoIterator<Item = OsString>,
        variables: &Variables,
        stdout: Stdio,
        log: Log,
    ) -> anyhow::Result<Self> {
        let mut process = tied(program)
            .args(arguments)
            .env_clear()
            .envs(variables.iter())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal reaches this process only, which then ends the child.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        let stderr = process.stderr.take().context("the log of a child is piped")?;
        let sink = Sink::open(name, log)?;
        let lines = Arc::<Mutex<VecDeque<String>>>::default();
        let reader = Some(tokio::spawn(read(stderr, Arc::clone(&lines), sink)));
        Ok(Self { name, process, lines, reader })
    }

    /// Repeats `ask` until it returns an answer. The end of the process, or a timeout, is an error.
    pub(super) async fn wait_for<T>(
        &mut self,
        mut ask: impl AsyncFnMut(&Self) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let waiting = async {
            loop {
                if let Some(answer) = ask(self).await? {
                    return Ok(answer);
                }
                if let Some(status) = self.process.try_wait()? {
                    let lines = self.last_lines().await;
                    return Err(anyhow!("{} did not start ({status}):\n{lines}", self.name));
                }
                tokio::time::sleep(INTERVAL).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(answer) => answer,
            Err(_) => Err(anyhow!("{} does not get ready:\n{}", self.name, self.lines())),
        }
    }

    /// Waits for the end of the process. Cancelling the wait is harmless.
    pub(super) async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.process.wait().await?)
    }

    /// Waits for the end of the process, which nobody asked for, and returns it as an error.
    pub(super) async fn fails(&mut self) -> anyhow::Error {
        match self.wait().await {
            Ok(status) => {
                let lines = self.last_lines().await;
                anyhow!("{} has ended ({status}):\n{lines}", self.name)
            }
            Err(error) => error,
        }
    }

    /// Sends a signal. A process that has ended gets none.
    pub(super) fn signal(&self, signal: Signal) {
        let id = self.process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(id) = id {
            let _ = kill_process(id, signal);
        }
    }

    /// Returns a line of the log that begins with `prefix`, among the last ones.
    pub(super) fn line(&self, prefix: &str) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|line| line.starts_with(prefix)).cloned()
    }

    /// Returns the last lines of a process that has ended.
    async fn last_lines(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            let _ = tokio::time::timeout(LAST_WORDS, reader).await;
        }
        self.lines()
    }

    fn lines(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| visible(line)).collect::<Vec<_>>().join("\n")
    }
}

/// Returns a command that runs `program`, and ends it when this process ends: see [`super::tied`].
fn tied(program: &Path) -> Command {
    let link = Path::new("/proc/self/exe");
    // The link leads to this program even after the file was replaced.
    let this = if link.exists() { link.to_path_buf() } else { std::env::current_exe().unwrap_or_default() };
    let mut command = Command::new(this);
    command.args(["run-tied", "--parent", &std::process::id().to_string(), "--"]).arg(program);
    command
}

/// The writer of a log.
enum Sink {
    Terminal(&'static str, LogFormat),
    File(File),
}

impl Sink {
    fn open(name: &'static str, log: Log) -> anyhow::Result<Self> {
        Ok(match log {
            Log::Terminal(format) => Self::Terminal(name, format),
            Log::File(path) => Self::File(File::create(path).context("cannot create a log")?),
        })
    }

    /// Writes a line. Errors are ignored: a full disk must not end the proxy.
    fn write(&mut self, line: &str) {
        match self {
            Self::Terminal(name, format) => format.pass(name, line),
            Self::File(file) => drop(writeln!(file, "{line}")),
        }
    }
}

async fn read(stderr: ChildStderr, lines: Arc<Mutex<VecDeque<String>>>, mut sink: Sink) {
    let mut segments = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(line)) = segments.next_segment().await {
        let line = String::from_utf8_lossy(&line);
        sink.write(&line);
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line.into_owned());
    }
}

/// Returns arguments as a program gets them.
pub(super) fn arguments<'a>(
    arguments: impl IntoIterator<Item = &'a (impl AsRef<OsStr> + ?Sized + 'a)>,
) -> Vec<OsString> {
    arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect()
}
