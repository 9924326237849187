//! Builds a module so that it is the same wherever it is built: the folders of this machine are named otherwise in it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::artefact::Artefact;

/// Builds it from the workspace in `root`, below whose `target` it is then.
pub(crate) fn build(artefact: &Artefact, root: &Path) -> Result<PathBuf> {
    let root = root.canonicalize().with_context(|| format!("{} is not there", root.display()))?;
    // Flags make other artefacts of what is built already, so this has a folder of its own.
    let target = root.join("target/dist-build");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--locked", "--profile", "wasm"])
        .args(["--package", artefact.package, "--target", artefact.target])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(&root)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&root)?)
        .status()
        .context("cannot run `cargo`: install Rust from https://rustup.rs")?;
    ensure!(status.success(), "`{}` cannot be built", artefact.package);
    Ok(target.join(artefact.target).join("wasm").join(artefact.file()))
}

/// Panics name files; whoever builds has the sources, and those of dependencies, somewhere else.
fn flags(root: &Path) -> Result<String> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo"))).context("there is no home folder")?;
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    Ok([remap(root, "/keyswap"), remap(&home, "/cargo")].join("\u{1f}"))
}
