//! A component that was prepared with a policy, and the releases of Wasmtime that run the component.

use std::fs;

use anyhow::{Result, ensure};
use keyswap_core::answer::LocalReply;
use keyswap_tests::releases::{NEWEST_WASMTIME, OLDEST_WASMTIME};
use keyswap_tests::{PREPARE, Request, Standin, WasmtimeSetup, prepare, tools};
use serde_json::json;

use crate::{KEY, chat, models, policy, setup};

/// Sends requests whole, streamed and refused.
fn serves(setup: WasmtimeSetup, standin: &Standin, key: &str) -> Result<()> {
    let wasmtime = setup.start()?;
    for stream in [true, false, true] {
        let answer = wasmtime.send(&chat(stream))?;
        ensure!(answer.status == 200, "{answer:?}");
        ensure!(answer.text().ends_with("data: [DONE]\n\n") == stream, "{answer:?}");
    }
    ensure!(wasmtime.send(&models())?.status == 200);
    for refused in [Request::get("/v1/models"), Request::get("/v1/models").bearer("ptk_nobody-knows-this")] {
        let answer = wasmtime.send(&refused)?;
        ensure!(answer.status == 401, "{answer:?}");
    }
    let received = standin.take();
    let expected = format!("Bearer {key}");
    ensure!(received.len() == 4, "{} requests went on", received.len());
    ensure!(received.iter().all(|it| it.header("authorization") == Some(&expected)), "{received:?}");
    Ok(())
}

#[test]
fn the_oldest_and_the_newest_wasmtime_run_it_too() -> Result<()> {
    let standin = Standin::start()?;
    for release in [&OLDEST_WASMTIME, &NEWEST_WASMTIME] {
        serves(setup().upstream(&standin).on(release), &standin, KEY)?;
    }
    Ok(())
}

#[test]
fn a_prepared_component_serves_its_policy_with_the_secrets_of_each_start() -> Result<()> {
    let (standin, folder) = (Standin::start()?, tempfile::tempdir()?);
    let prepared = || setup().upstream(&standin).prepared(folder.path());
    serves(prepared(), &standin, KEY)?;
    serves(prepared().env("OPENAI_API_KEY", "sk-another-sentinel"), &standin, "sk-another-sentinel")?;
    for setup in [
        prepared().instances_for_one_request(),
        prepared().on(&OLDEST_WASMTIME),
        prepared().on(&NEWEST_WASMTIME),
    ] {
        serves(setup, &standin, KEY)?;
    }
    Ok(())
}

#[test]
fn the_book_prepares_a_component_like_these_tests() -> Result<()> {
    let page = fs::read_to_string(tools::project_root().join("docs/deploy/wasmtime.md"))?;
    let command = format!("\nwasmtime {} -o ", PREPARE.join(" "));
    ensure!(page.contains(&command), "the page has no line `{}`", command.trim());
    Ok(())
}

#[test]
fn nothing_is_prepared_with_a_policy_that_does_not_hold() -> Result<()> {
    let mut limited = policy();
    limited["rate_limit"] = json!({"requests": 1});
    for (document, reason) in [
        (String::new(), "not valid JSON"),
        ("{".to_owned(), "not valid JSON"),
        (json!({"version": "keyswap/v2"}).to_string(), "error at `version`: expected `keyswap/v1`"),
        (limited.to_string(), "error at `rate_limit`: this host has no shared memory"),
    ] {
        let folder = tempfile::tempdir()?;
        let Err(error) = prepare(&document, folder.path()) else { anyhow::bail!("{document} was taken") };
        ensure!(format!("{error:#}").contains(reason), "{error:#}");
        ensure!(!folder.path().join("prepared.wasm").exists(), "a component was made");
    }
    Ok(())
}

#[test]
fn a_prepared_component_takes_no_second_policy_and_needs_its_secrets() -> Result<()> {
    let (standin, folder) = (Standin::start()?, tempfile::tempdir()?);
    let prepared = || setup().upstream(&standin).prepared(folder.path());
    let host_failure = LocalReply::host_failure();
    for (setup, reason) in [
        (prepared().env("KEYSWAP_POLICY", &policy().to_string()), "and `KEYSWAP_POLICY` is another one"),
        (prepared().env("OPENAI_API_KEY", ""), "`OPENAI_API_KEY`"),
    ] {
        let wasmtime = setup.start()?;
        let answer = wasmtime.send(&models())?;
        ensure!(answer.status == host_failure.status, "{reason}: {answer:?}");
        ensure!(answer.header("x-keyswap-reason") == Some("host_failure"), "{reason}: {answer:?}");
        wasmtime.until_logged(reason)?;
    }
    ensure!(standin.take().is_empty(), "a request went on");
    Ok(())
}
