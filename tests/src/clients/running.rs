//! A call under way: the process that makes it, and what it tells line by line.

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

/// A call that takes longer hangs: the slowest machine starts an interpreter and loads an SDK within seconds.
const TIMEOUT: Duration = Duration::from_mins(2);

/// An event of a call that a developer sees.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase", deny_unknown_fields)]
pub enum Event {
    /// An event of a stream reached the program.
    Chunk {
        /// The text it added; often none.
        text: String,
    },
    /// The answer was complete.
    Done {
        /// The whole text.
        text: String,
    },
    /// A WebSocket was opened.
    Open {
        /// The subprotocol that was chosen; none is empty.
        protocol: String,
    },
    /// The SDK raised an exception.
    Error(Failure),
}

/// An exception of an SDK.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The name of its class.
    pub class: String,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The message that a stack trace would show.
    pub message: String,
    /// The SDK's `code`, or what it calls the stable code of an error.
    pub code: Option<String>,
    /// The SDK's `type`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Those of `x-keyswap-reason`, `www-authenticate` and `retry-after` that the answer had.
    pub headers: BTreeMap<String, String>,
}

/// A call under way; its process ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    description: String,
    child: Child,
    lines: Receiver<io::Result<String>>,
    stderr: File,
    deadline: Instant,
}

impl Running {
    /// Starts `command`; an error names it by `description`.
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

    /// Waits for the next event; `None` when the process has ended as it should.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        match self.lines.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => self.event(&line?).map(Some),
            Err(RecvTimeoutError::Disconnected) => self.ended().map(|()| None),
            Err(RecvTimeoutError::Timeout) => {
                bail!("{} took longer than {TIMEOUT:?}:\n{}", self.description, self.printed()?)
            }
        }
    }

    /// Waits for the events that are still to come.
    pub fn finish(mut self) -> Result<Vec<Event>> {
        std::iter::from_fn(|| self.next_event().transpose()).collect()
    }

    fn event(&self, line: &str) -> Result<Event> {
        serde_json::from_str(line)
            .with_context(|| format!("{} printed `{line}`, which is no event", self.description))
    }

    /// Without standard output, the process is about to end.
    fn ended(&mut self) -> Result<()> {
        let status = self.child.wait()?;
        ensure!(status.success(), "{} failed ({status}):\n{}", self.description, self.printed()?);
        Ok(())
    }

    /// Returns the text that the process has written to its standard error.
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
        // Either fails only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
