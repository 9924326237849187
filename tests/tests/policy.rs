//! An invalid policy prevents the start of Envoy, and the log lists all errors.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{Envoy, KEYSWAP, Standin};
use serde_json::{Value, json};

fn good() -> Value {
    json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": "0".repeat(64), "label": "t", "providers": ["openai"]}],
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
    })
}

#[test]
fn envoy_refuses_a_bad_policy_with_the_errors_of_policy_check() -> Result<()> {
    let policy = json!({
        "version": "keyswap/v0",
        "tokns": [],
        "tokens": [
            {"sha256": "short", "label": "", "providers": []},
            {"sha256": "0".repeat(64), "label": "t", "providers": ["openai"], "expires_at": "2027-06-30T00:00:00"},
            {"sha256": "1".repeat(64), "label": "t", "providers": ["nobody"], "status": "gone", "secret": 1},
        ],
        "credentials": {"openai": [{"env": "sk-0123456789abcdef0123"}], "x": []},
        "gateway": {"cloudflare": {"account": "../evil", "gateway": "g", "mode": "magic", "url": "https://a@b"}},
        "slots": ["authorization", "authorization", "cookie"],
    });
    let file = tempfile::Builder::new().suffix(".json").tempfile()?;
    std::fs::write(file.path(), policy.to_string())?;
    let checked = Command::new(KEYSWAP.path()?).args(["policy", "check"]).arg(file.path()).output()?;
    ensure!(checked.status.code() == Some(3), "`policy check` ends with {}", checked.status);
    let text = String::from_utf8(checked.stdout)? + &String::from_utf8(checked.stderr)?;
    let expected: Vec<&str> = text.lines().filter(|line| line.starts_with("error at ")).collect();
    ensure!(expected.len() >= 15, "`policy check` finds only {}:\n{text}", expected.len());

    let standin = Standin::start()?;
    let log = Envoy::with(&policy).upstream(&standin).refused()?;
    let logged: Vec<&str> =
        log.lines().filter_map(|line| line.find("error at `").map(|at| &line[at..])).collect();
    for line in &expected {
        ensure!(logged.iter().any(|found| found.trim_end() == *line), "not in Envoy's log: {line}\n{log}");
    }
    ensure!(!log.contains("sk-0123456789abcdef0123"), "a literal secret shows in the log:\n{log}");
    Ok(())
}

#[test]
fn a_credential_that_cannot_be_used_is_named_by_its_variable_and_never_shown() -> Result<()> {
    let standin = Standin::start()?;
    for (value, expected) in [
        (None, "the environment variable `OPENAI_API_KEY` is not set"),
        (Some(""), "the value of the environment variable `OPENAI_API_KEY` is empty"),
        (
            Some("sk-sentinel\n"),
            "the value of the environment variable `OPENAI_API_KEY` ends with a line break",
        ),
        (
            Some("sk-sentinel\r\nx: y"),
            "the value of the environment variable `OPENAI_API_KEY` has a byte at position 11",
        ),
        (
            Some("sk-sentinel\t"),
            "the value of the environment variable `OPENAI_API_KEY` has a byte at position 11",
        ),
    ] {
        let mut setup = Envoy::with(&good()).upstream(&standin);
        if let Some(value) = value {
            setup = setup.env("OPENAI_API_KEY", value);
        }
        let log = setup.refused().with_context(|| format!("{value:?}"))?;
        ensure!(log.contains(expected), "{value:?}: the log lacks `{expected}`:\n{log}");
        ensure!(!log.contains("sentinel"), "{value:?}: the value shows in the log:\n{log}");
    }
    Ok(())
}
