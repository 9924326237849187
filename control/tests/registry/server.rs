//! A process of `keyswap serve`, killed on drop.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder};
use serde_json::json;

/// The data planes' credential. It must not appear in output.
pub(crate) const CREDENTIAL: &str = "SENTINEL-registry-token-0123456789";

/// The administrator's password. It must not appear in output.
pub(crate) const PASSWORD: &str = "SENTINEL-admin-password-0123456789";

pub(crate) struct Server {
    process: Child,
    said: BufReader<ChildStdout>,
    log: Receiver<String>,
    logged: String,
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl Server {
    /// Starts a server at the highest log level, and waits until it is ready.
    pub(crate) fn start(database: &str) -> Self {
        Self::start_with(database, &[])
    }

    /// Starts a server with more arguments.
    pub(crate) fn start_with(database: &str, arguments: &[&str]) -> Self {
        Self::run(command().env("KEYSWAP_ADMIN_PASSWORD", PASSWORD).args(["serve"]).args(arguments), database)
    }

    /// Starts a server with more in its environment.
    pub(crate) fn start_in(database: &str, environment: &[(&str, &str)]) -> Self {
        let environment = environment.iter().copied();
        Self::run(
            command().env("KEYSWAP_ADMIN_PASSWORD", PASSWORD).envs(environment).args(["serve"]),
            database,
        )
    }

    /// Starts a server whose database has a password.
    pub(crate) fn start_without_password(database: &str) -> Self {
        Self::run(command().args(["serve"]), database)
    }

    /// Starts a server that knows only the credentials of its database.
    pub(crate) fn start_without_credential(database: &str) -> Self {
        Self::run_in(command().env("KEYSWAP_ADMIN_PASSWORD", PASSWORD).args(["serve"]), database)
    }

    /// Starts a server whose database is named in a file, and which knows only the credentials of it.
    pub(crate) fn start_from_file(file: &str) -> Self {
        Self::spawn(
            command()
                .env("KEYSWAP_DATABASE_FILE", file)
                .env("KEYSWAP_ADMIN_PASSWORD", PASSWORD)
                .args(["serve"]),
        )
    }

    fn run(command: &mut Command, database: &str) -> Self {
        Self::run_in(command.env("KEYSWAP_REGISTRY_TOKEN", CREDENTIAL), database)
    }

    fn run_in(command: &mut Command, database: &str) -> Self {
        Self::spawn(command.args(["--database", database]))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut process = command
            .args(["--listen", "127.0.0.1:0", "--log", "trace"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, log) = std::sync::mpsc::channel();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().try_for_each(|line| sender.send(line.unwrap())));
        let mut line = String::new();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            panic!("{line}{}", log.iter().collect::<String>());
        };
        let url = url.to_owned();
        Self { process, said, log, logged: String::new(), url, client: client() }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(CREDENTIAL)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).bearer_auth(CREDENTIAL)
    }

    /// Signs the administrator in, and returns the session cookie.
    pub(crate) async fn sign_in(&self) -> String {
        let request = self.client.post(format!("{}/admin/session", self.url));
        let response = request.json(&json!({"password": PASSWORD})).send().await.unwrap();
        assert_eq!(response.status(), 204, "{response:?}");
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Returns a request of the administrator.
    pub(crate) fn admin(&self, cookie: &str, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}/admin{path}", self.url)).header("cookie", cookie)
    }

    /// Returns the URL in the next line of the output, behind these words.
    pub(crate) fn second_url(&mut self, words: &str) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim().strip_prefix(words).unwrap_or_else(|| panic!("{line}")).to_owned()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Stops the server with SIGTERM.
    pub(crate) fn terminate(&self) {
        let kill = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    /// Kills the server as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    /// Waits until one line of the log contains all of `words`.
    pub(crate) fn until_logged(&mut self, words: &[&str]) {
        loop {
            let line = self.log.recv().unwrap_or_else(|_| panic!("{words:?}: {}", self.logged));
            self.logged.push_str(&line);
            if words.iter().all(|word| line.contains(word)) {
                return;
            }
        }
    }

    /// Waits for the end. Returns the exit status and the whole log.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.process.wait().unwrap();
        self.logged.extend(self.log.iter());
        (status, std::mem::take(&mut self.logged))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns a client that identifies as a program.
pub(crate) fn client() -> Client {
    let program =
        HeaderMap::from_iter([("x-keyswap-client".parse().unwrap(), HeaderValue::from_static("test"))]);
    builder().default_headers(program).build().unwrap()
}

pub(crate) fn builder() -> ClientBuilder {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy()
}

/// Returns the command, in an environment without secrets.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyswap"));
    command.env_clear();
    command
}
