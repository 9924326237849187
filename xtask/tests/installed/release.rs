//! A release whose native files are those of the tests, for this machine and, unused, for the other.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use keyswap_tests::{AUTHORIZER, COMPONENT, FILTER, KEYSWAP, MODULE, tools};

/// Makes a release in `folder`. Returns the folder with its files.
pub(crate) fn make(folder: &Path, arguments: &[&str]) -> Result<PathBuf> {
    let built = folder.join("built");
    fs::create_dir(&built)?;
    fs::copy(FILTER.path()?, built.join("keyswap_filter.wasm"))?;
    fs::copy(COMPONENT.path()?, built.join("keyswap_component.wasm"))?;
    fs::copy(AUTHORIZER.path()?, built.join("keyswap-authorizer.wasm"))?;
    fs::write(built.join("keyswap-aarch64-macos"), "for another machine")?;
    for machine in ["x86_64", "aarch64"] {
        let is_here = machine == std::env::consts::ARCH;
        for (build, name) in
            [(&MODULE, format!("libkeyswap-{machine}.so")), (&KEYSWAP, format!("keyswap-{machine}"))]
        {
            if is_here {
                fs::copy(build.path()?, built.join(name)).map(drop)?;
            } else {
                fs::write(built.join(name), "for another machine")?;
            }
        }
    }
    let release = folder.join("release");
    run(&release, &built, arguments)?;
    Ok(release)
}

/// Runs `cargo xtask dist` on files that are built already.
pub(crate) fn run(output: &Path, built: &Path, arguments: &[&str]) -> Result<()> {
    let mut dist = Command::new(env!("CARGO_BIN_EXE_xtask"));
    dist.arg("dist").arg("--output").arg(output).arg("--modules").arg(built).args(arguments);
    tools::run(&mut dist, "it is part of the workspace").map(drop)
}
