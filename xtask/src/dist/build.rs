//! The build of a release's file: the same as for the tests, and with the same bytes on every machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use keyswap_tests::{AUTHORIZER, build_module, build_native, check_native};

use super::artefact::{Artefact, Form};

/// Builds a file from the workspace in `root`.
pub(crate) fn build(artefact: &Artefact, root: &Path) -> Result<Vec<u8>> {
    if artefact.form == Form::Authorizer {
        return read(&AUTHORIZER.path()?);
    }
    match artefact.finish() {
        Some(finish) => finish(&read(&build_module(root, artefact.package, artefact.target)?)?),
        None => read(&native(artefact, root)?),
    }
}

/// Builds all native packages for the machine, and returns the file of this one. A second build finds the first.
fn native(artefact: &Artefact, root: &Path) -> Result<PathBuf> {
    let stem = match artefact.package {
        "keyswap-module" => "libkeyswap_module",
        package => package,
    };
    let files = build_native(root, &artefact.built_together(), artefact.target)?;
    let mut found = files.into_iter().filter(|file| file.file_stem().is_some_and(|name| name == stem));
    let file = found.next_back().with_context(|| format!("cargo built no `{stem}`"))?;
    check_native(&file, artefact.target)?;
    Ok(file)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;
    use keyswap_tests::{FILTER, tools};

    use super::*;
    use crate::dist::artefact::ARTEFACTS;

    /// Copies the sources to another folder, whose name has another length.
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
        // One module suffices: the builds differ in names only. The build in this folder is the one that the tests run.
        for artefact in ARTEFACTS.iter().filter(|artefact| artefact.form == Form::Filter) {
            let here = fs::read(FILTER.path()?)?;
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
