//! A running `keyswap up --policy`, with a stand-in behind it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use keyswap_core::base::Digest;
use keyswap_tests::{Artefact, Request, Response, Standin, artefacts, send, tools, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The token of [`policy`].
pub(crate) const TOKEN: &str = "ptk_of-the-tests-of-up-0123456789abcdef";
/// The key that the policy names. It must be in no argument, file or log.
pub(crate) const KEY: &str = "sk-SENTINEL-of-the-tests-of-up";

/// Returns a record of a token for a policy.
pub(crate) fn record(token: &str) -> Value {
    json!({"sha256": Digest::of(token.as_bytes()).to_hex(), "label": "tests", "providers": ["openai"]})
}

/// Returns a policy with these tokens, whose provider is the stand-in.
pub(crate) fn policy(standin: &Standin, tokens: &[&str]) -> Value {
    let url = format!("http://{}/v1", standin.plain("api.openai.com").unwrap());
    json!({
        "version": "keyswap/v1",
        "tokens": tokens.iter().map(|token| record(token)).collect::<Vec<_>>(),
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "providers": {"openai": {"url": url}},
    })
}

/// A request with a token that is answered with 200, if the token is known.
pub(crate) fn models(token: &str) -> Request {
    Request::get("/v1/models").bearer(token)
}

/// A run that is not started yet.
pub(crate) struct Setup {
    pub(crate) folder: TempDir,
    pub(crate) command: Command,
}

impl Setup {
    /// Returns the run of a policy in `policy.json`, on free ports, with programs and artefacts of the tests.
    pub(crate) fn new(policy: &Value) -> Self {
        let mut setup = Self::bare(Path::new(env!("CARGO_BIN_EXE_keyswap")), policy);
        let artefacts = artefacts(&[Artefact::Filter, Artefact::Module, Artefact::Component]).unwrap();
        setup
            .command
            .env("KEYSWAP_ARTEFACTS", artefacts)
            .env("KEYSWAP_ENVOY", tools::envoy().unwrap())
            .env("KEYSWAP_WASMTIME", tools::wasmtime().unwrap());
        setup
    }

    /// Returns the run of a command that finds programs and artefacts itself.
    pub(crate) fn bare(program: &Path, policy: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("temporary")).unwrap();
        fs::write(folder.path().join("policy.json"), policy.to_string()).unwrap();
        let mut command = Command::new(program);
        command
            .args(["up", "--port", "0", "--admin-port", "0", "--registry-port", "0", "--workers", "2"])
            .arg("--policy")
            .arg(folder.path().join("policy.json"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", folder.path())
            .env("XDG_CACHE_HOME", tools::project_root().join("target/cache-of-tests"))
            .env("TMPDIR", folder.path().join("temporary"))
            .env("OPENAI_API_KEY", KEY);
        Self { folder, command }
    }

    #[must_use]
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// Starts it, and waits until it serves.
    pub(crate) fn start(self) -> Up {
        let up = self.spawn();
        up.wait_for_log("the dashboard is at ");
        up
    }

    /// Starts it without waiting.
    pub(crate) fn spawn(mut self) -> Up {
        let mut child =
            self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Text::of(child.stdout.take().unwrap());
        let log = Text::of(child.stderr.take().unwrap());
        Up { child, folder: self.folder, output, log }
    }

    /// Runs it to its end. Returns the exit code and standard error.
    pub(crate) fn run(self) -> (Option<i32>, String) {
        let mut up = self.spawn();
        let status = up.wait();
        (status.code(), up.log())
    }
}

/// The text that a process has written so far.
struct Text {
    lines: Arc<Mutex<String>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Text {
    fn of(source: impl Read + Send + 'static) -> Self {
        let lines = Arc::<Mutex<String>>::default();
        let written = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                let mut text = written.lock().unwrap_or_else(PoisonError::into_inner);
                text.extend([line.as_str(), "\n"]);
            }
        });
        Self { lines, reader: Some(reader) }
    }

    fn so_far(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running `keyswap up`. It ends on drop.
pub(crate) struct Up {
    child: Child,
    folder: TempDir,
    output: Text,
    log: Text,
}

impl Up {
    /// Replaces the policy.
    pub(crate) fn set_policy(&self, policy: &Value) {
        self.write_policy(&policy.to_string());
    }

    /// Replaces the text of the policy.
    pub(crate) fn write_policy(&self, text: &str) {
        fs::write(self.policy_file(), text).unwrap();
    }

    pub(crate) fn policy_file(&self) -> PathBuf {
        self.folder.path().join("policy.json")
    }

    /// Replaces the policy, and waits until it is in force.
    pub(crate) fn change(&self, policy: &Value) {
        let before = self.log().matches("is in force").count();
        self.set_policy(policy);
        until("the policy is in force", || Ok(self.log().matches("is in force").count() > before)).unwrap();
    }

    /// Waits until the log has a text. Returns the rest of the text's line.
    pub(crate) fn wait_for_log(&self, text: &str) -> String {
        let found = until(text, || Ok(self.fact(text).is_some()));
        assert!(found.is_ok(), "`{text}` is not in the log:\n{}", self.log());
        self.fact(text).unwrap()
    }

    fn fact(&self, text: &str) -> Option<String> {
        self.log().lines().find_map(|line| Some(line.split_once(text)?.1.trim_end_matches('"').to_owned()))
    }

    /// Returns the address of the proxy.
    pub(crate) fn address(&self) -> SocketAddr {
        self.wait_for_log("listening on http://").parse().unwrap()
    }

    /// Returns the address of Envoy's admin interface.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.wait_for_log("interface of Envoy is at http://").parse().unwrap()
    }

    /// Returns the address of the registry.
    pub(crate) fn registry(&self) -> SocketAddr {
        self.wait_for_log("the dashboard is at http://").trim_end_matches("/admin").parse().unwrap()
    }

    pub(crate) fn send(&self, request: &Request) -> Response {
        send(self.address(), request).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.log.so_far()
    }

    pub(crate) fn output(&self) -> String {
        self.output.so_far()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the folder for temporary files.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.folder.path().join("temporary")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Returns the processes that it has started.
    pub(crate) fn children(&self) -> Vec<Pid> {
        let parent = self.child.id().to_string();
        let output =
            Command::new("ps").args(["--no-headers", "-o", "pid=", "--ppid", &parent]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
    }

    /// Returns true if it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end, and for all that it has written.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        for text in [&mut self.output, &mut self.log] {
            text.reader.take().map(thread::JoinHandle::join);
        }
        status
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
