//! The artefacts that run in a host: the filter, the module and the component.
//!
//! They come with the command, in `share/keyswap` beside the command's own folder. The file `VERSION` there has the
//! version of all of them. Artefacts of another version than the command's are refused: the command checks policies for
//! the artefacts, and a policy that one version accepts another may refuse.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use super::host::Host;
use crate::command::terminal::output::visible;

/// The version of the command, which its artefacts must have.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns the artefact for a host, from `folder` if it is given, else from the folders beside the command.
pub(super) fn find(host: Host, folder: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folders = match folder {
        Some(folder) => vec![folder.to_path_buf()],
        None => beside_the_command(),
    };
    find_in(host, &folders)
}

fn find_in(host: Host, folders: &[PathBuf]) -> anyhow::Result<PathBuf> {
    for folder in folders {
        let file = folder.join(host.file());
        if file.is_file() {
            check_version(folder)?;
            return fs::canonicalize(&file).with_context(|| format!("cannot read {}", shown(&file)));
        }
    }
    let tried: Vec<String> = folders.iter().map(|folder| shown(folder)).collect();
    bail!(
        "the {} (`{}`) is not in {}: reinstall keyswap {VERSION}, or name the folder that has it with `--artefacts` or \
         `KEYSWAP_ARTEFACTS`",
        host.artefact(),
        host.file(),
        tried.join(" or ")
    )
}

/// Returns `share/keyswap` of the prefix in which the command is installed, and that of an unpacked archive.
fn beside_the_command() -> Vec<PathBuf> {
    let folder =
        env::current_exe().ok().and_then(|file| Some(file.parent()?.to_path_buf())).unwrap_or_default();
    let prefix = folder.parent().map(Path::to_path_buf);
    prefix.into_iter().chain([folder]).map(|folder| folder.join("share/keyswap")).collect()
}

fn check_version(folder: &Path) -> anyhow::Result<()> {
    let file = folder.join("VERSION");
    let version = fs::read_to_string(&file).with_context(|| {
        format!(
            "cannot read {}, which has the version of the artefacts: reinstall keyswap {VERSION}",
            shown(&file)
        )
    })?;
    let version = version.trim();
    ensure!(
        version == VERSION,
        "the artefacts in {} are of version {}, and this command is of version {VERSION}: install both from one release",
        shown(folder),
        visible(version),
    );
    Ok(())
}

fn shown(path: &Path) -> String {
    format!("`{}`", visible(&path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn an_artefact_is_taken_from_the_first_folder_that_has_it_in_the_version_of_the_command() {
        let empty = folder(&[]);
        let whole =
            folder(&[("keyswap_filter.wasm", ""), ("VERSION", concat!(env!("CARGO_PKG_VERSION"), "\n"))]);
        let old = folder(&[("keyswap_filter.wasm", ""), ("VERSION", "0.0.9")]);
        let nameless = folder(&[("keyswap_filter.wasm", "")]);
        let find = |folders: &[&tempfile::TempDir]| {
            let folders: Vec<_> = folders.iter().map(|folder| folder.path().to_path_buf()).collect();
            find_in(Host::Envoy, &folders).map_err(|error| error.to_string())
        };
        let place = whole.path().canonicalize().unwrap().join("keyswap_filter.wasm");
        assert_eq!(find(&[&empty, &whole]), Ok(place));
        for (folders, words) in [
            (vec![&old, &whole], "are of version 0.0.9, and this command is of version"),
            (vec![&nameless], "which has the version of the artefacts: reinstall keyswap"),
            (vec![&empty], "or name the folder that has it with `--artefacts` or `KEYSWAP_ARTEFACTS`"),
        ] {
            let error = find(&folders).unwrap_err();
            assert!(error.contains(words), "{error}");
            assert!(error.contains(&folders[0].path().display().to_string()), "{error}");
        }
    }
}
