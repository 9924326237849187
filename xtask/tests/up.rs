//! `cargo xtask up`: the printed commands work, and Ctrl-C leaves no process behind.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Seek as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use keyswap_tests::{KEYSWAP, docs, tools, until};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The time limit of a start. A first start builds and installs.
const PATIENCE: Duration = Duration::from_mins(4);
const CREDENTIAL: &str = "authorization: Bearer sk-stand-in-openai-key";

/// Runs the printed commands, which are the same for every host.
fn run_the_commands(instructions: &str) -> Result<()> {
    assert!(shell(&snippet(instructions, "curl: the OpenAI API")?)?.contains(CREDENTIAL));
    let stream = shell(&snippet(instructions, "curl: the Anthropic API, as a stream")?)?;
    assert!(stream.contains("event: message_stop"), "{stream}");
    let gemini = shell(&snippet(instructions, "curl: the Gemini API")?)?;
    assert!(gemini.contains("stand-in-gemini-key"), "{gemini}");
    let refusal = shell(&snippet(instructions, "curl: an unknown token is refused")?)?;
    assert!(refusal.contains("x-keyswap-reason: token_invalid"), "{refusal}");
    Ok(())
}

#[test]
fn the_printed_commands_work_and_ctrl_c_ends_everything() -> Result<()> {
    let mut up = Up::start(&["--port", "0", "--admin-port", "0"])?;
    let instructions = up.read_until("# --- Ctrl-C")?;
    let proxy = address(&instructions, "base URL     http://")?;
    let admin = address(&instructions, "admin        http://")?;

    run_the_commands(&instructions)?;

    // The printed password opens the dashboard, whose examples name this proxy.
    let dashboard = address(&instructions, "dashboard    http://")?;
    let password = address(&instructions, "password     ")?;
    let (password, _) = password.split_once(' ').context("a word comes after the password")?;
    let cookies = tempfile::NamedTempFile::new()?;
    let browser = format!(
        "curl --silent --show-error --fail-with-body --cookie-jar {0} --cookie {0} --header 'Sec-Fetch-Site: same-origin'",
        cookies.path().display()
    );
    shell(&format!("{browser} --data-urlencode 'password={password}' http://{dashboard}/sign-in"))?;
    let created =
        shell(&format!("{browser} --location --data 'label=ci&provider=openai' http://{dashboard}/tokens"))?;
    assert!(created.contains(&format!("curl http://{proxy}/v1/models")), "{created}");
    // Its token works at the proxy.
    let begin = created.find("ptk_").context("no token was created")?;
    let token: String = created[begin..]
        .chars()
        .take_while(|char| char.is_ascii_alphanumeric() || "-_".contains(*char))
        .collect();
    let with_token = format!(
        "curl --silent --show-error --fail-with-body --oauth2-bearer {token} --json '{{\"model\": \"gpt-5-mini\", \"messages\": []}}' http://{proxy}/v1/chat/completions"
    );
    assert!(shell(&with_token)?.contains(CREDENTIAL));

    // The SDKs are installed in a folder of this test.
    let folder = tempfile::tempdir()?;
    let sdk = |title| {
        let script = snippet(&instructions, title)?;
        ensure!(script.contains("/tmp/keyswap-"), "no folder in {script}");
        shell(&script.replace("/tmp/", &format!("{}/", folder.path().display())))
    };
    sdk("Python: get the SDKs")?;
    assert!(sdk("Python: OpenAI SDK")?.contains(CREDENTIAL));
    assert!(sdk("Python: Anthropic SDK")?.contains("x-api-key: sk-ant-stand-in"));
    assert!(sdk("Node: OpenAI SDK, as a stream")?.contains(CREDENTIAL));

    // The user sees the upstream's request, which does not contain the token.
    let shown = up.read_until("contents")?;
    assert!(shown.contains(CREDENTIAL), "{shown}");
    assert!(!shown.contains("ptk_"), "{shown}");

    assert!(up.signal(Signal::INT)?.success());
    let rest = up.read_rest();
    assert!(rest.contains("have ended"));
    keep_first_run(&FirstRun { instructions: &instructions, shown: &shown, rest: &rest })?;
    for address in [proxy, admin, dashboard.trim_end_matches("/admin").to_owned()] {
        assert!(TcpStream::connect(&address).is_err(), "something still listens on {address}");
    }
    assert_eq!(fs::read_dir(up.temporary.path())?.count(), 0, "temporary files were left");
    Ok(())
}

#[test]
fn on_wasmtime_the_printed_commands_work_and_ctrl_c_ends_everything_too() -> Result<()> {
    let mut up = Up::start(&["--host", "wasmtime", "--port", "0"])?;
    let instructions = up.read_until("# --- Ctrl-C")?;
    let proxy = address(&instructions, "base URL     http://")?;
    let dashboard = address(&instructions, "dashboard    http://")?;
    run_the_commands(&instructions)?;
    let shown = up.read_until("contents")?;
    assert!(shown.contains(CREDENTIAL) && !shown.contains("ptk_"), "{shown}");

    assert!(up.signal(Signal::INT)?.success());
    for address in [proxy, dashboard.trim_end_matches("/admin").to_owned()] {
        assert!(TcpStream::connect(&address).is_err(), "something still listens on {address}");
    }
    assert_eq!(fs::read_dir(up.temporary.path())?.count(), 0, "temporary files were left");
    Ok(())
}

#[test]
fn terminating_it_is_a_clean_end_too() -> Result<()> {
    let mut up = Up::start(&["--port", "0", "--admin-port", "0"])?;
    up.read_until("# --- Ctrl-C")?;
    assert!(up.signal(Signal::TERM)?.success());
    Ok(())
}

#[test]
fn an_envoy_that_ends_by_itself_is_a_failure() -> Result<()> {
    let mut up = Up::start(&["--port", "0", "--admin-port", "0"])?;
    let admin = address(&up.read_until("# --- Ctrl-C")?, "admin        http://")?;
    shell(&format!("curl --silent --show-error --request POST http://{admin}/quitquitquit"))?;
    assert!(!up.wait()?.success());
    assert!(up.errors()?.contains("Envoy has ended"));
    Ok(())
}

#[test]
fn the_registry_knows_the_token_and_its_first_request() -> Result<()> {
    let mut up = Up::start(&["--port", "0", "--admin-port", "0"])?;
    let instructions = up.read_until("# --- Ctrl-C")?;
    let dashboard = address(&instructions, "dashboard    ")?;
    let password = address(&instructions, "password     ")?;
    let keyswap = |arguments: &[&str]| {
        let mut command = Command::new(KEYSWAP.path()?);
        command.args(arguments).args(["--server", dashboard.trim_end_matches("/admin"), "--format", "json"]);
        command.env("KEYSWAP_ADMIN_PASSWORD", password.split(' ').next().unwrap_or_default());
        tools::run(&mut command, "it was built")
    };
    assert!(keyswap(&["token", "list"])?.contains("\"last_used\": null"));
    assert!(shell(&snippet(&instructions, "curl: the OpenAI API")?)?.contains(CREDENTIAL));
    until("the token was used", || Ok(!keyswap(&["token", "list"])?.contains("\"last_used\": null")))?;
    until("the usage is reported", || Ok(keyswap(&["usage"])?.contains("gpt-5-mini")))?;
    assert!(up.signal(Signal::TERM)?.success());
    Ok(())
}

#[test]
fn tokens_that_are_kept_work_in_the_next_run() -> Result<()> {
    let data = tempfile::tempdir()?;
    let arguments = ["--port", "0", "--admin-port", "0", "--data", &data.path().display().to_string()];
    let mut up = Up::start(&arguments)?;
    let token = address(&up.read_until("# --- Ctrl-C")?, "proxy token  ")?;
    assert!(up.signal(Signal::TERM)?.success());

    let mut up = Up::start(&arguments)?;
    let instructions = up.read_until("# --- Ctrl-C")?;
    assert!(instructions.contains("as the first run printed it"), "{instructions}");
    let script = snippet(&instructions, "curl: the OpenAI API")?;
    assert!(shell(&format!("KEYSWAP_TOKEN={token}\n{script}"))?.contains(CREDENTIAL));
    assert!(up.signal(Signal::TERM)?.success());
    Ok(())
}

#[test]
fn a_taken_port_is_an_error_that_names_the_flag() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    for flag in ["--port", "--admin-port", "--gateway-port"] {
        // The other ports are free.
        let others = ["--port", "--admin-port"].into_iter().filter(|other| *other != flag);
        let mut arguments: Vec<_> = others.flat_map(|other| [other, "0"]).collect();
        arguments.extend([flag, port.as_str()]);
        let mut up = Up::start(&arguments)?;
        assert!(!up.wait()?.success());
        let expected = format!("port {port} is taken: choose another with `{flag}`");
        let errors = up.errors()?;
        assert!(errors.contains(&expected), "{errors}");
    }
    Ok(())
}

/// A running `cargo xtask up`.
struct Up {
    child: Child,
    lines: Receiver<String>,
    stderr: File,
    temporary: TempDir,
}

impl Up {
    fn start(arguments: &[&str]) -> Result<Self> {
        let temporary = tempfile::tempdir()?;
        let stderr = tempfile::tempfile()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        // The environment of the test run must not select a real upstream.
        let gateway = ["CF_AIG_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_GATEWAY_ID"];
        for name in gateway.into_iter().chain(["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"]) {
            command.env_remove(name);
        }
        let mut child = command
            .arg("up")
            .args(arguments)
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.try_clone()?)
            .spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Ok(Self { child, lines, stderr, temporary })
    }

    /// Returns the output up to and including the line that contains `end`.
    fn read_until(&mut self, end: &str) -> Result<String> {
        let mut text = String::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => text.extend([line.as_str(), "\n"]),
                Err(_) => bail!("`{end}` was not printed:\n{text}\n{}", self.errors()?),
            }
            if text.lines().last().is_some_and(|line| line.contains(end)) {
                return Ok(text);
            }
        }
    }

    fn read_rest(&self) -> String {
        self.lines.iter().collect::<Vec<_>>().join("\n")
    }

    fn signal(&mut self, signal: Signal) -> Result<ExitStatus> {
        kill_process(Pid::from_child(&self.child), signal)?;
        self.wait()
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(started.elapsed() < PATIENCE, "it did not end");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns standard error.
    fn errors(&mut self) -> Result<String> {
        let mut errors = String::new();
        self.stderr.rewind()?;
        self.stderr.read_to_string(&mut errors)?;
        Ok(errors)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output of a first run, in which one command was tried.
struct FirstRun<'a> {
    instructions: &'a str,
    shown: &'a str,
    rest: &'a str,
}

impl FirstRun<'_> {
    /// Returns the run as the book shows it: one command, and placeholders for the parts that differ between runs.
    fn transcript(&self) -> Result<String> {
        let title = "curl: the OpenAI API";
        let before = self.instructions.split("\n# --- ").next().context("there are commands to try")?;
        let received = self.shown.split("\nthe stand-in received").nth(1).context("nothing was received")?;
        let end = self.instructions.lines().last().unwrap_or_default();
        let text = format!(
            "$ cargo xtask up\n{before}\n# --- {title}\n{}[…]\n{end}\n\nthe stand-in received{received}\n^C\n{}\n",
            snippet(self.instructions, title)?,
            self.rest.lines().last().unwrap_or_default(),
        );
        self.replaced(&text)
    }

    fn replaced(&self, text: &str) -> Result<String> {
        let fact = |label| address(self.instructions, label);
        let dashboard = fact("dashboard    http://")?;
        let folder = fact("logs         envoy.log and access.log in ")?;
        let differs = [
            (fact("proxy token  ")?, "ptk_…"),
            (fact("base URL     http://")?, "127.0.0.1:10000"),
            (fact("admin        http://")?, "127.0.0.1:9901"),
            (dashboard.trim_end_matches("/admin").to_owned(), "127.0.0.1:7070"),
            (fact("password     ")?.split(' ').next().unwrap_or_default().to_owned(), "…"),
            (folder, "/tmp/keyswap"),
        ];
        let text = differs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        let is_timing =
            |line: &str| line.starts_with("      done in") || line.starts_with("      still running after");
        let fixed = |line: &str| {
            let differs =
                ["  | x-request-id: ", "  | user-agent: curl/"].into_iter().find(|it| line.starts_with(it));
            differs.map_or_else(|| format!("{line}\n"), |name| format!("{name}…\n"))
        };
        Ok(text.lines().filter(|line| !is_timing(line)).map(fixed).collect())
    }
}

/// Compares the run with the one in the book. With `KEYSWAP_UPDATE_DOCS`, the book takes this run.
fn keep_first_run(run: &FirstRun<'_>) -> Result<()> {
    let file = tools::project_root().join("xtask/tests/first-run.txt");
    let transcript = run.transcript()?;
    if docs::is_update() {
        fs::write(&file, &transcript)?;
    }
    let kept = fs::read_to_string(&file)?;
    ensure!(kept == transcript, "a first run prints something else than the book says:\n{transcript}");
    Ok(())
}

/// Returns the script under a title.
fn snippet(instructions: &str, title: &str) -> Result<String> {
    let start = format!("# --- {title}\n");
    let (_, rest) =
        instructions.split_once(&start).with_context(|| format!("no `{title}` in {instructions}"))?;
    let (script, _) = rest.split_once("# --- ").context("the last snippet has an end")?;
    Ok(script.to_owned())
}

fn shell(script: &str) -> Result<String> {
    let output = tools::run(Command::new("sh").args(["-e", "-c", script]), "a POSIX shell is needed");
    output.context("the printed commands need `curl`")
}

/// Returns the address after a label of the instructions.
fn address(instructions: &str, label: &str) -> Result<String> {
    let line = instructions.lines().find_map(|line| line.trim_start().strip_prefix(label));
    Ok(line.with_context(|| format!("no `{label}` in {instructions}"))?.to_owned())
}
