//! A running call: its process, and the events that it prints.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

/// The time limit of a call. The slowest machine starts an interpreter and loads an SDK within seconds.
const TIMEOUT: Duration = Duration::from_mins(2);

/// An event of a call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase", deny_unknown_fields)]
pub enum Event {
    /// An event of a stream reached the program.
    Chunk {
        /// The text of the event, often empty.
        text: String,
    },
    /// The answer was complete.
    Done {
        /// The whole text.
        text: String,
    },
    /// A WebSocket was opened.
    Open {
        /// The chosen subprotocol, empty for none.
        protocol: String,
    },
    /// The SDK raised an exception.
    Error(Failure),
}

/// An exception of an SDK.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The name of the exception's class.
    pub class: String,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The message that a stack trace would show.
    pub message: String,
    /// The stable code of the error: the SDK's `code`, or its equivalent.
    pub code: Option<String>,
    /// The SDK's `type`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The headers `x-keyswap-reason`, `www-authenticate` and `retry-after` of the answer.
    pub headers: BTreeMap<String, String>,
}

/// A running call. Its process ends on drop.
#[derive(Debug)]
pub struct Running {
    description: String,
    child: Child,
    lines: Receiver<io::Result<String>>,
    stderr: File,
    deadline: Instant,
}

impl Running {
    /// Starts `command`, which errors name by `description`.
    pub(super) fn spawn(description: String, mut command: Command) -> Result<Self> {
        let stderr = tempfile::tempfile()?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.try_clone()?)
            .spawn()
            .with_context(|| format!("cannot start {description}"))?;
        let stdout = child.stdout.take().context("the process has no standard output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || BufReader::new(stdout).lines().try_for_each(|line| sender.send(line)));
        Ok(Self { description, child, lines, stderr, deadline: Instant::now() + TIMEOUT })
    }

    /// Waits for the next event. Returns `None` when the process has ended successfully.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        match self.lines.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => self.event(&line?).map(Some),
            Err(RecvTimeoutError::Disconnected) => self.ended().map(|()| None),
            Err(RecvTimeoutError::Timeout) => {
                bail!("{} took longer than {TIMEOUT:?}:\n{}", self.description, self.printed()?)
            }
        }
    }

    /// Waits for all remaining events.
    pub fn finish(mut self) -> Result<Vec<Event>> {
        std::iter::from_fn(|| self.next_event().transpose()).collect()
    }

    fn event(&self, line: &str) -> Result<Event> {
        serde_json::from_str(line)
            .with_context(|| format!("{} printed `{line}`, which is no event", self.description))
    }

    /// Waits for the process, which has closed its standard output. A failure is an error.
    fn ended(&mut self) -> Result<()> {
        let status = self.child.wait()?;
        ensure!(status.success(), "{} failed ({status}):\n{}", self.description, self.printed()?);
        Ok(())
    }

    /// Returns the process's standard error.
    fn printed(&self) -> Result<String> {
        let mut printed = Vec::new();
        let mut stderr = &self.stderr;
        stderr.rewind()?;
        stderr.read_to_end(&mut printed)?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
