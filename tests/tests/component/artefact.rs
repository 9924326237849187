//! The imports and exports of the component, and its requirements at start.

use std::{collections::BTreeSet, fs};

use anyhow::{Result, ensure};
use keyswap_core::answer::LocalReply;
use keyswap_tests::{AUTHORIZER, COMPONENT, Interfaces, Request, Standin, Wasmtime, tools};
use serde_json::json;

use crate::{KEY, models, policy};

/// Spin 3 and 4, Wasmtime 36 and later, and wash support the interfaces of WASI 0.2, not other versions, drafts or
/// custom interfaces. Hosts treat patch releases as equal.
#[test]
fn the_component_imports_nothing_but_what_every_host_of_wasi_0_2_has() -> Result<()> {
    let Interfaces { imports, exports } = Interfaces::of(&fs::read(COMPONENT.path()?)?)?;
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
    let expected = ["keyswap:auth/authorizer@0.1.2", "wasi:http/incoming-handler@0.2.12", "wizer-initialize"];
    ensure!(exports == expected.map(str::to_owned).into(), "it exports {exports:#?}");
    Ok(())
}

#[test]
fn the_authorizer_alone_asks_its_host_for_nothing() -> Result<()> {
    let Interfaces { imports, exports } = Interfaces::of(&fs::read(AUTHORIZER.path()?)?)?;
    ensure!(imports.is_empty(), "it imports {imports:#?}");
    ensure!(exports == ["keyswap:auth/authorizer@0.1.2".to_owned()].into(), "it exports {exports:#?}");
    Ok(())
}

/// Returns the statements of an interface, each behind the head of its block, without comments.
fn statements(wit: &str) -> BTreeSet<(String, String)> {
    let (mut statements, mut heads, mut open) = (BTreeSet::new(), Vec::new(), String::new());
    for line in wit.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")) {
        open.push_str(line);
        if let Some(head) = open.strip_suffix('{') {
            heads.push(head.trim().to_owned());
        } else if open == "}" {
            heads.pop();
        } else if open.ends_with(';')
            || (open.ends_with(',') && open.matches('(').count() == open.matches(')').count())
        {
            statements.insert((heads.last().cloned().unwrap_or_default(), open.clone()));
        } else {
            continue;
        }
        open.clear();
    }
    statements
}

/// A host looks for an interface by its minor version, and then checks the types of what it uses.
#[test]
fn a_program_for_an_older_interface_finds_all_that_it_knows_unchanged() -> Result<()> {
    let read = |path: &str| fs::read_to_string(tools::project_root().join(path));
    let (older, now) = (read("tests/hosts/authorizer-0.1.1.wit")?, read("component/wit/authorizer.wit")?);
    let (older, now) = (statements(&older), statements(&now));
    ensure!(older.len() > 70, "only {} statements are read", older.len());
    let is_of_file = |head: &str| head.is_empty();
    let gone: Vec<_> = older.difference(&now).filter(|(head, _)| !is_of_file(head)).collect();
    ensure!(gone.is_empty(), "{gone:#?}");
    // A resource may have more functions; a type with another member or case is another type.
    let is_type = |head: &str| !is_of_file(head) && !head.starts_with("resource");
    let known: BTreeSet<&str> = older.iter().map(|(head, _)| head.as_str()).collect();
    let grown: Vec<_> =
        now.difference(&older).filter(|(head, _)| is_type(head) && known.contains(head.as_str())).collect();
    ensure!(grown.is_empty(), "{grown:#?}");
    Ok(())
}

#[test]
fn the_components_are_under_1600_kilobytes() -> Result<()> {
    for build in [&COMPONENT, &AUTHORIZER] {
        let size = fs::metadata(build.path()?)?.len();
        ensure!(size < 1_600_000, "`{}`: {size} bytes", build.variable);
    }
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
