//! The log of commands whose standard error is a terminal.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::confirm::{rest, terminal};
use crate::support::Folder;

#[test]
fn a_registry_serves_with_its_log_on_a_terminal() {
    let folder = Folder::new();
    let (mut person, tty) = terminal();
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyswap"))
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "debug"])
        .env_clear()
        .env("KEYSWAP_DATABASE", format!("sqlite://{}", folder.path("registry.db").display()))
        .env("KEYSWAP_REGISTRY_TOKEN", "SENTINEL-registry-token-0123456789")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(tty)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // If it has ended, the lines on the terminal say why.
    let _ = kill_process(Pid::from_child(&child), Signal::TERM);
    child.wait().unwrap();
    let said = rest(&mut person);
    assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}{said}");
    assert!(said.contains("DEBUG") && !said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn all_parts_begin_with_their_log_on_a_terminal() {
    for format in ["text", "json"] {
        let (mut person, tty) = terminal();
        let status = Command::new(env!("CARGO_BIN_EXE_keyswap"))
            .args(["up", "--port", "0", "--admin-port", "0", "--registry-port", "0", "--log-format", format])
            .args(["--policy", "/nowhere/policy.yaml", "--envoy", "/nowhere/envoy"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(tty)
            .status()
            .unwrap();
        let said = rest(&mut person);
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.starts_with("error: ") && said.contains("/nowhere/envoy"), "{said}");
    }
}
