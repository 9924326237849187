//! Builds a module so that it is the same wherever it is built: the folders of this machine are named otherwise in it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::artefact::Artefact;

/// Builds it from the workspace in `root`, below whose `target` all that it takes is then.
pub(crate) fn build(artefact: &Artefact, root: &Path) -> Result<Vec<u8>> {
    let root = root.canonicalize().with_context(|| format!("{} is not there", root.display()))?;
    // Flags make other artefacts of what is built already, so this has a folder of its own.
    let target = root.join("target/dist-build");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--locked", "--profile", artefact.profile])
        .args(["--package", artefact.package, "--target", artefact.target])
        .arg("--target-dir")
        .arg(&target)
        .arg("--config")
        .arg(format!("target.{}.rustflags = {:?}", artefact.target, flags(&root)?))
        .current_dir(&root)
        // These would take the place of all flags that are configured.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .context("cannot run `cargo`: install Rust from https://rustup.rs")?;
    ensure!(status.success(), "`{}` cannot be built", artefact.package);
    let module = target.join(artefact.target).join(artefact.profile).join(artefact.file());
    let module = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    (artefact.finish)(&module)
}

/// Flags beside those in `.cargo/config.toml`. Panics name files; whoever builds has the sources, and those of
/// dependencies, somewhere else.
fn flags(root: &Path) -> Result<[String; 2]> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo"))).context("there is no home folder")?;
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    Ok([remap(root, "/keyswap"), remap(&home, "/cargo")])
}

#[cfg(test)]
mod tests {
    use keyswap_tests::tools;

    use super::*;
    use crate::dist::artefact::ARTEFACTS;

    /// The sources in another folder, with a name of another length.
    fn sources(folder: &Path) -> Result<()> {
        let root = tools::project_root();
        let skipped = ["target", ".tools", ".git"];
        let mut left = vec![PathBuf::new()];
        while let Some(place) = left.pop() {
            fs::create_dir_all(folder.join(&place))?;
            for entry in fs::read_dir(root.join(&place))? {
                let entry = entry?;
                let path = place.join(entry.file_name());
                if skipped.iter().any(|name| path == Path::new(name)) {
                    continue;
                }
                if entry.file_type()?.is_dir() {
                    left.push(path);
                } else {
                    fs::copy(entry.path(), folder.join(path))?;
                }
            }
        }
        Ok(())
    }

    #[test]
    fn two_builds_in_two_folders_make_the_same_module() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let elsewhere = folder.path().join("a-folder-with-another-name/keyswap");
        sources(&elsewhere)?;
        // One stands for all: they differ in names only, and this builds everything twice.
        for artefact in ARTEFACTS.iter().filter(|artefact| artefact.has_images) {
            let here = build(artefact, &tools::project_root())?;
            let there = build(artefact, &elsewhere)?;
            ensure!(here == there, "`{}` is another elsewhere", artefact.package);
            for folder in [tools::project_root(), elsewhere.clone()] {
                let name = folder.to_string_lossy().into_owned().into_bytes();
                let is_in_it = here.windows(name.len()).any(|window| window == name);
                ensure!(!is_in_it, "`{}` has a path of this machine", artefact.package);
            }
        }
        Ok(())
    }
}
