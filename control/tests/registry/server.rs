//! A real `keyswap serve`, killed when dropped.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use reqwest::{Client, RequestBuilder};

/// The data planes' credential. It must turn up nowhere.
pub(crate) const CREDENTIAL: &str = "SENTINEL-registry-token-0123456789";

/// The administrator's password. It must turn up nowhere.
pub(crate) const PASSWORD: &str = "SENTINEL-admin-password-0123456789";

pub(crate) struct Server {
    process: Child,
    log: Option<JoinHandle<String>>,
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl Server {
    /// Starts a server that logs all it can, and waits until it is ready.
    pub(crate) fn start(database: &str) -> Self {
        let mut process = command()
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "trace", "--database", database])
            .env("KEYSWAP_REGISTRY_TOKEN", CREDENTIAL)
            .env("KEYSWAP_ADMIN_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = process.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = Vec::new();
            stderr.read_to_end(&mut log).unwrap();
            String::from_utf8_lossy(&log).into_owned()
        });
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            panic!("{line}{}", log.join().unwrap());
        };
        let url = url.to_owned();
        Self { process, log: Some(log), url, client: Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(CREDENTIAL)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).bearer_auth(CREDENTIAL)
    }

    /// Tells the server to stop.
    pub(crate) fn terminate(&self) {
        let kill = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    /// Kills the server as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    /// Waits for the end, and returns how it ended and all that was logged.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.process.wait().unwrap();
        (status, self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The command, in an environment without secrets.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyswap"));
    command.env_clear();
    command
}
