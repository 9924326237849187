//! The SDKs as developers use them: unmodified packages, locked, each call in a process of its own.
//!
//! A call runs a script of `tests/clients`, which prints one [`Event`] a line as it happens. The scripts hold no
//! expectations; those are the tests'. Of the caller's environment, an SDK sees nothing that would configure it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt,
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::tools::{installed, project_root, run};

/// A call that takes longer hangs: the slowest machine starts an interpreter and loads an SDK within seconds.
const TIMEOUT: Duration = Duration::from_mins(2);

const PYTHON_REMEDY: &str =
    "install Python 3.10 or newer with pip (Debian: `apt install python3 python3-pip`)";
const NODE_REMEDY: &str = "install Node.js 20 or newer with npm (Debian: `apt install nodejs npm`)";

/// What a Node program is made of; it runs from the folder that has its packages.
const NODE_FILES: [&str; 5] =
    ["package.json", "package-lock.json", "events.mjs", "openai_client.mjs", "anthropic_client.mjs"];

/// One SDK in one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The language it is written in and for.
    pub language: Language,
    /// The SDK.
    pub sdk: Sdk,
}

/// The languages of the SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Python.
    Python,
    /// `JavaScript` in Node.js.
    Node,
}

/// The SDKs, in the releases that the lock files name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// `openai`: its key is a bearer token.
    OpenAi,
    /// `anthropic`, `@anthropic-ai/sdk`: its key is a bearer token.
    Anthropic,
    /// The last release of the same (Python 1, Node 0) that sends its key as `x-api-key`.
    AnthropicXApiKey,
}

/// What a client does with its SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A chat completion, or a message.
    Chat,
    /// The same as a stream.
    Stream,
    /// A call of the responses API (`OpenAI` only).
    Responses,
    /// The same as a stream.
    ResponsesStream,
    /// The list of models.
    Models,
    /// A message with the token as the SDK's auth token, not its API key (Anthropic only).
    AuthToken,
}

/// A call: a mode, and what a developer would configure.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What to do.
    pub mode: Mode,
    /// The root of the proxy, without a slash at its end; the path that the SDK's users add is added.
    pub base_url: &'a str,
    /// What goes where the API key goes.
    pub token: &'a str,
    /// Further headers, and with `None` headers that the SDK is told to leave out.
    pub headers: &'a [(&'a str, Option<&'a str>)],
}

/// What a developer sees of a call.
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
    /// What a stack trace would show.
    pub message: String,
    /// The SDK's `code`, or what it calls the stable code of an error.
    pub code: Option<String>,
    /// The SDK's `type`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Those of `x-keyswap-reason`, `www-authenticate` and `retry-after` that the answer had.
    pub headers: BTreeMap<String, String>,
}

impl Client {
    /// Every client.
    pub const ALL: [Self; 6] = [
        Self { language: Language::Python, sdk: Sdk::OpenAi },
        Self { language: Language::Python, sdk: Sdk::Anthropic },
        Self { language: Language::Python, sdk: Sdk::AnthropicXApiKey },
        Self { language: Language::Node, sdk: Sdk::OpenAi },
        Self { language: Language::Node, sdk: Sdk::Anthropic },
        Self { language: Language::Node, sdk: Sdk::AnthropicXApiKey },
    ];

    /// Makes a call and waits for its end.
    pub fn run(self, call: &Call<'_>) -> Result<Vec<Event>> {
        self.start(call)?.finish()
    }

    /// Starts a call; its events are read one by one.
    pub fn start(self, call: &Call<'_>) -> Result<Running> {
        let mut command = self.command(call.mode)?;
        let headers: BTreeMap<_, _> = call.headers.iter().copied().collect();
        command
            .env("KEYSWAP_BASE_URL", call.base_url)
            .env("KEYSWAP_TOKEN", call.token)
            .env("KEYSWAP_EXTRA_HEADERS", serde_json::to_string(&headers)?);
        Running::spawn(format!("the {self} in mode `{}`", call.mode.name()), command)
    }

    /// The command that runs the script, after installing what it needs.
    fn command(self, mode: Mode) -> Result<Command> {
        match self.language {
            Language::Python => python(self.sdk, mode),
            Language::Node => node(self.sdk, mode),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sdk = match self.sdk {
            Sdk::OpenAi => "OpenAI SDK",
            Sdk::Anthropic => "Anthropic SDK",
            Sdk::AnthropicXApiKey => "Anthropic SDK that sends `x-api-key`",
        };
        write!(f, "{:?} {sdk}", self.language)
    }
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Stream => "stream",
            Self::Responses => "responses",
            Self::ResponsesStream => "responses-stream",
            Self::Models => "models",
            Self::AuthToken => "auth-token",
        }
    }
}

/// A command that is given nothing of the environment that would configure it.
fn isolated(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| configures_a_client(name)) {
        command.env_remove(name);
    }
    command
}

/// Whether an SDK, an interpreter or an HTTP library would take settings from the environment variable.
fn configures_a_client(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    let prefixes = ["OPENAI_", "ANTHROPIC_", "PYTHON", "NODE_", "KEYSWAP_"];
    name.ends_with("_PROXY") || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

fn python(sdk: Sdk, mode: Mode) -> Result<Command> {
    let (script, lock) = match sdk {
        Sdk::OpenAi => ("openai_client.py", "requirements.txt"),
        Sdk::Anthropic => ("anthropic_client.py", "requirements.txt"),
        Sdk::AnthropicXApiKey => ("anthropic_client.py", "requirements-x-api-key.txt"),
    };
    let folder = clients_folder("python");
    let packages = python_packages(&folder.join(lock))?;
    let mut command = isolated("python3");
    command
        .arg(folder.join(script))
        .arg(mode.name())
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

fn python_packages(lock: &Path) -> Result<PathBuf> {
    // Compiled packages fit one minor release of Python.
    let release = "import sys; \
                   sys.version_info >= (3, 10) or sys.exit(f'this is Python {sys.version}'); \
                   print(sys.implementation.cache_tag)";
    let release = run(Command::new("python3").args(["-c", release]), PYTHON_REMEDY).context(PYTHON_REMEDY)?;
    let fingerprint = format!("{}-{}", release.trim(), fingerprint(&[lock.to_path_buf()])?);
    installed("python-clients", &fingerprint, |folder| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "--require-hashes", "--only-binary", ":all:"])
            .arg("--target")
            .arg(folder)
            .arg("-r")
            .arg(lock);
        run(&mut pip, PYTHON_REMEDY)
            .context("the SDKs need Python 3.10 or newer with pip, and a package index that pip reaches")?;
        Ok(())
    })
}

fn node(sdk: Sdk, mode: Mode) -> Result<Command> {
    let folder = node_program()?;
    let mut command = isolated("node");
    match sdk {
        Sdk::OpenAi => command.arg(folder.join("openai_client.mjs")).arg(mode.name()),
        Sdk::Anthropic => command.arg(folder.join("anthropic_client.mjs")).arg(mode.name()),
        Sdk::AnthropicXApiKey => {
            command.arg(folder.join("anthropic_client.mjs")).args([mode.name(), "anthropic-x-api-key"])
        }
    };
    Ok(command)
}

fn node_program() -> Result<PathBuf> {
    let files = NODE_FILES.map(|name| clients_folder("node").join(name));
    installed("node-clients", &fingerprint(&files)?, |folder| {
        for (source, name) in files.iter().zip(NODE_FILES) {
            fs::copy(source, folder.join(name)).with_context(|| format!("cannot copy `{name}`"))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
        run(&mut npm, NODE_REMEDY)
            .context("the SDKs need Node.js 20 or newer with npm, and a registry that npm reaches")?;
        Ok(())
    })
}

fn clients_folder(language: &str) -> PathBuf {
    project_root().join("tests/clients").join(language)
}

/// Changes when a file does. It need not resist anybody, nor be the same after a change of toolchain: all that
/// costs is another install.
fn fingerprint(files: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
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
    fn spawn(description: String, mut command: Command) -> Result<Self> {
        let remedy = if command.get_program() == "node" { NODE_REMEDY } else { PYTHON_REMEDY };
        let stderr = tempfile::tempfile()?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.try_clone()?)
            .spawn()
            .with_context(|| format!("cannot start {description}: {remedy}"))?;
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

    /// What the process has written to its standard error.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_fails_shows_its_traceback() {
        for language in [Language::Python, Language::Node] {
            let client = Client { language, sdk: Sdk::OpenAi };
            // The OpenAI SDK has no such mode.
            let call =
                Call { mode: Mode::AuthToken, base_url: "http://127.0.0.1:1", token: "token", headers: &[] };
            let error = client.run(&call).unwrap_err().to_string();
            assert!(error.contains("openai_client."), "{error}");
        }
    }

    #[test]
    fn settings_of_the_caller_do_not_reach_a_client() {
        for name in ["OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "PYTHONPATH", "NODE_OPTIONS", "https_proxy"] {
            assert!(configures_a_client(OsStr::new(name)), "{name}");
        }
        assert!(!configures_a_client(OsStr::new("PATH")));
    }
}
