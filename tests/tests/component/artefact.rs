//! The imports and exports of the component, and its requirements at start.

use std::{collections::BTreeSet, fs};

use anyhow::{Result, bail, ensure};
use keyswap_core::answer::LocalReply;
use keyswap_tests::{AUTHORIZER, COMPONENT, Request, Standin, Wasmtime, tools};
use serde_json::json;
use wit_parser::decoding::{DecodedWasm, decode};

use crate::{KEY, chat, models, policy, setup};

/// Returns the interfaces that a component imports and exports.
fn interfaces(wasm: &[u8]) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let DecodedWasm::Component(resolve, world) = decode(wasm)? else { bail!("this is no component") };
    let names = |items: &wit_parser::IndexMap<wit_parser::WorldKey, wit_parser::WorldItem>| {
        items.keys().map(|key| resolve.name_world_key(key)).collect()
    };
    let world = &resolve.worlds[world];
    Ok((names(&world.imports), names(&world.exports)))
}

/// Spin 3 and 4, Wasmtime 36 and later, and wash support the interfaces of WASI 0.2, not other versions, drafts or
/// custom interfaces. Hosts treat patch releases as equal.
#[test]
fn the_component_imports_nothing_but_what_every_host_of_wasi_0_2_has() -> Result<()> {
    let (imports, exports) = interfaces(&fs::read(COMPONENT.path()?)?)?;
    let expected = [
        "wasi:cli/environment",
        "wasi:cli/exit",
        "wasi:cli/stderr",
        "wasi:cli/stdin",
        "wasi:cli/stdout",
        "wasi:cli/terminal-input",
        "wasi:cli/terminal-output",
        "wasi:cli/terminal-stderr",
        "wasi:cli/terminal-stdin",
        "wasi:cli/terminal-stdout",
        "wasi:clocks/monotonic-clock",
        "wasi:clocks/wall-clock",
        "wasi:filesystem/preopens",
        "wasi:filesystem/types",
        "wasi:http/outgoing-handler",
        "wasi:http/types",
        "wasi:io/error",
        "wasi:io/poll",
        "wasi:io/streams",
        "wasi:random/random",
    ];
    let expected: BTreeSet<String> = expected.iter().map(|name| format!("{name}@0.2.12")).collect();
    ensure!(imports == expected, "it imports {imports:#?}");
    let expected = ["keyswap:auth/authorizer@0.1.1", "wasi:http/incoming-handler@0.2.12"];
    ensure!(exports == expected.map(str::to_owned).into(), "it exports {exports:#?}");
    Ok(())
}

#[test]
fn the_authorizer_alone_asks_its_host_for_nothing() -> Result<()> {
    let (imports, exports) = interfaces(&fs::read(AUTHORIZER.path()?)?)?;
    ensure!(imports.is_empty(), "it imports {imports:#?}");
    ensure!(exports == ["keyswap:auth/authorizer@0.1.1".to_owned()].into(), "it exports {exports:#?}");
    Ok(())
}

#[test]
fn the_components_are_under_a_megabyte_and_a_quarter() -> Result<()> {
    for build in [&COMPONENT, &AUTHORIZER] {
        let size = fs::metadata(build.path()?)?.len();
        ensure!(size < 1_400_000, "`{}`: {size} bytes", build.variable);
    }
    Ok(())
}

#[test]
fn the_oldest_wasmtime_runs_it_too() -> Result<()> {
    let standin = Standin::start()?;
    let wasmtime = setup().upstream(&standin).program(tools::oldest_wasmtime()).start()?;
    for _ in 0..3 {
        let answer = wasmtime.send(&chat(true))?;
        ensure!(answer.status == 200 && answer.text().ends_with("data: [DONE]\n\n"), "{answer:?}");
    }
    ensure!(wasmtime.send(&Request::get("/v1/models"))?.status == 401);
    ensure!(standin.take().iter().all(|it| it.header("authorization") == Some("Bearer sk-real-sentinel")));
    Ok(())
}

#[test]
fn a_policy_that_does_not_hold_serves_nobody_and_says_why() -> Result<()> {
    let mut limited = policy();
    limited["rate_limit"] = json!({"requests": 1});
    let host_failure = LocalReply::host_failure();
    for (setup, reason) in [
        (Wasmtime::unconfigured(), "`KEYSWAP_POLICY` is not set"),
        (Wasmtime::unconfigured().env("KEYSWAP_POLICY", "no-such-file.json"), "cannot be read"),
        (Wasmtime::unconfigured().env("KEYSWAP_POLICY", "{"), "not valid JSON"),
        (Wasmtime::with(&json!({"version": "keyswap/v2"})), "error at `version`: expected `keyswap/v1`"),
        (Wasmtime::with(&policy()), "the environment variable `OPENAI_API_KEY` is not set"),
        (
            Wasmtime::with(&limited).env("OPENAI_API_KEY", KEY),
            "error at `rate_limit`: this host has no shared memory",
        ),
    ] {
        let wasmtime = setup.start()?;
        for request in [models(), Request::get("/")] {
            let answer = wasmtime.send(&request)?;
            ensure!(
                answer.status == host_failure.status && answer.text() == host_failure.body,
                "{reason}: {answer:?}"
            );
            ensure!(answer.header("x-keyswap-reason") == Some("host_failure"), "{reason}: {answer:?}");
        }
        wasmtime.until_logged(reason)?;
    }
    Ok(())
}

#[test]
fn the_policy_may_be_in_a_file() -> Result<()> {
    let standin = Standin::start()?;
    let folder = tempfile::tempdir()?;
    let mut policy = policy();
    policy["providers"] = json!({"openai": {"url": format!("http://{}", standin.plain("api.openai.com")?)}});
    fs::write(folder.path().join("policy.json"), policy.to_string())?;
    let wasmtime = Wasmtime::unconfigured()
        .env("KEYSWAP_POLICY", "/etc/policy.json")
        .env("OPENAI_API_KEY", KEY)
        .flags(&["--dir", &format!("{}::/etc", folder.path().display())])
        .start()?;
    ensure!(wasmtime.send(&models())?.status == 200);
    Ok(())
}
