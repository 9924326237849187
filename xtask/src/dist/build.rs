//! The build of a release's module: the same as for the tests, and with the same bytes on every machine.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use keyswap_tests::build_module;

use super::artefact::Artefact;

/// Builds a module from the workspace in `root`.
pub(crate) fn build(artefact: &Artefact, root: &Path) -> Result<Vec<u8>> {
    let module = build_module(root, artefact.package, artefact.target)?;
    let module = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    (artefact.finish)(&module)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

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
        for artefact in ARTEFACTS.iter().filter(|artefact| artefact.has_images) {
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
