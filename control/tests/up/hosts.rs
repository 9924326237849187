//! The hosts, and the registry beside them.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use keyswap_tests::Standin;
use rustix::process::Signal;
use serde_json::json;

use super::support::{Setup, TOKEN, models, policy};

/// Mints a token in the registry, as an administrator does with the password that the first start wrote.
fn mint(up: &super::support::Up, data: &std::path::Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_keyswap"))
        .args(["token", "create", "--label", "ci", "--provider", "openai", "--server"])
        .arg(format!("http://{}", up.registry()))
        .env("KEYSWAP_ADMIN_PASSWORD_FILE", data.join("admin-password"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn tokens_of_the_policy_and_of_the_registry_work_in_every_host_and_stay_over_a_restart() {
    let standin = Standin::start().unwrap();
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("kept");
    let mut minted: Option<String> = None;
    for host in ["envoy", "module", "wasmtime"] {
        let args = ["--host", host, "--data", folder.to_str().unwrap()];
        let mut up = Setup::new(&policy(&standin, &[TOKEN])).args(&args).start();
        let token = minted.get_or_insert_with(|| mint(&up, &folder)).clone();
        for (token, expect) in [(TOKEN, 200), (token.as_str(), 200), ("ptk_unknown-to-all", 401)] {
            assert_eq!(up.send(&models(token)).status, expect, "{host}: {}", up.log());
        }
        up.signal(Signal::TERM);
        assert!(up.wait().success(), "{}", up.log());
    }
}

#[test]
fn on_wasmtime_a_new_policy_is_in_force_after_a_restart() {
    let standin = Standin::start().unwrap();
    let up = Setup::new(&policy(&standin, &[TOKEN])).args(&["--host", "wasmtime"]).start();
    assert_eq!(up.send(&models(TOKEN)).status, 200);
    up.change(&policy(&standin, &["ptk_of-another-caller-0123456789"]));
    assert_eq!(up.send(&models(TOKEN)).status, 401);
}

#[test]
fn a_policy_that_names_another_registry_keeps_it() {
    let standin = Standin::start().unwrap();
    let mut policy = policy(&standin, &[TOKEN]);
    policy["registry"] = json!({
        "url": "http://127.0.0.1:1", "credential": {"env": "KEYSWAP_REGISTRY_TOKEN"},
    });
    let up = Setup::new(&policy).start();
    up.wait_for_log("the policy names another registry");
    assert_eq!(up.send(&models(TOKEN)).status, 200);
    assert_eq!(up.send(&models("ptk_unknown-to-the-policy")).status, 503);
}

#[test]
fn a_supervisor_is_told_when_it_serves_and_when_it_ends() {
    let standin = Standin::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("notify");
    let supervisor = UnixDatagram::bind(&place).unwrap();
    let mut setup = Setup::new(&policy(&standin, &[TOKEN]));
    setup.command.env("NOTIFY_SOCKET", &place);
    let mut up = setup.start();
    let mut message = [0; 64];
    let mut next = || {
        let length = supervisor.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    assert_eq!(next(), "READY=1");
    assert_eq!(up.send(&models(TOKEN)).status, 200);
    up.signal(Signal::TERM);
    assert_eq!(next(), "STOPPING=1");
    assert!(up.wait().success());
}

#[test]
fn the_log_is_json_where_it_is_asked_for() {
    let standin = Standin::start().unwrap();
    for host in ["envoy", "module", "wasmtime"] {
        let args = ["--log-format", "json", "--host", host];
        let mut up = Setup::new(&policy(&standin, &[TOKEN])).args(&args).start();
        let address = up.log();
        let address = address.split_once("listening on http://").unwrap().1.split('"').next().unwrap();
        for token in [TOKEN, "ptk_unknown-to-all"] {
            keyswap_tests::send(address.parse().unwrap(), &models(token)).unwrap();
        }
        up.signal(Signal::TERM);
        assert!(up.wait().success());
        let (log, output) = (up.log(), up.output());
        let lines: Vec<&str> = log.lines().chain(output.lines()).collect();
        for line in &lines {
            assert!(
                serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line.is_object()),
                "{line}"
            );
        }
        assert!(lines.iter().any(|line| line.contains("token_invalid")), "{host}: the refusal is logged");
    }
}
