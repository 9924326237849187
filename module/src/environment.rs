//! The secrets that Envoy's process can read: its environment, and files in a few folders.
//!
//! A policy may come from a registry, so its author does not choose which files of the machine are credentials: only files
//! directly in a named folder are read. Files further down belong to others, such as the account token of a pod.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use keyswap_core::host::{Environment, MAX_SECRET_FILE_BYTES, SecretFile, SecretFileError};

/// The variable that names the folders, with a colon between two.
const FOLDERS: &str = "KEYSWAP_SECRET_FOLDERS";
/// The folders without it.
const DEFAULT_FOLDERS: [&str; 2] = ["/run/secrets", "/run/secrets/keyswap"];

/// Opens without waiting, so that a pipe in the place of a file does not stop Envoy. Linux has this number on x86-64 and
/// arm64.
const O_NONBLOCK: i32 = 0o4000;
/// The permission of every user to read.
const READABLE_BY_ALL: u32 = 0o004;

/// The environment of Envoy's process, and the files that it reads secrets from.
pub(crate) struct ProcessEnvironment {
    folders: Vec<PathBuf>,
}

impl ProcessEnvironment {
    /// Returns the environment, with the folders that it names.
    pub(crate) fn new() -> Self {
        let folders = std::env::var_os(FOLDERS).map_or_else(
            || DEFAULT_FOLDERS.map(PathBuf::from).to_vec(),
            |folders| std::env::split_paths(&folders).filter(|folder| folder.is_absolute()).collect(),
        );
        Self { folders }
    }
}

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        std::env::var_os(name).map(OsStringExt::into_vec)
    }

    fn file(&self, path: &str) -> Result<SecretFile, SecretFileError> {
        let path = Path::new(path);
        if !self.folders.iter().any(|folder| path.parent() == Some(folder)) {
            return Err(SecretFileError::Outside);
        }
        let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path);
        let file = file.map_err(|error| fault(error.kind()))?;
        let metadata = file.metadata().map_err(|error| fault(error.kind()))?;
        if !metadata.is_file() {
            return Err(SecretFileError::Special);
        }
        let bytes = read(file)?;
        Ok(SecretFile { bytes, is_open_to_all: metadata.mode() & READABLE_BY_ALL != 0 })
    }
}

/// Reads a file whole. The room is there from the beginning, so that no part of a secret is left behind by a reallocation.
fn read(file: File) -> Result<Vec<u8>, SecretFileError> {
    let most = MAX_SECRET_FILE_BYTES.saturating_add(1);
    let mut bytes = Vec::with_capacity(most.saturating_add(1));
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(|error| fault(error.kind()))?;
    if bytes.len() > MAX_SECRET_FILE_BYTES { Err(SecretFileError::TooLong) } else { Ok(bytes) }
}

const fn fault(kind: ErrorKind) -> SecretFileError {
    match kind {
        ErrorKind::NotFound | ErrorKind::NotADirectory => SecretFileError::Missing,
        ErrorKind::PermissionDenied => SecretFileError::Denied,
        _ => SecretFileError::Failed,
    }
}

/// Returns the name of this machine, by which the registry knows its reports.
pub(crate) fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::process::Command;

    use super::*;

    fn read_in(folder: &Path, path: &Path) -> Result<(Vec<u8>, bool), SecretFileError> {
        let environment = ProcessEnvironment { folders: vec![folder.to_owned()] };
        let file = environment.file(path.to_str().unwrap())?;
        Ok((file.bytes, file.is_open_to_all))
    }

    #[test]
    fn a_file_is_read_whole_with_who_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("openai");
        for (content, mode, is_open) in [
            (vec![b'k'; 8], 0o600, false),
            (b"sk-1\n".to_vec(), 0o640, false),
            (b"sk-2".to_vec(), 0o644, true),
            (vec![b'k'; MAX_SECRET_FILE_BYTES], 0o600, false),
            (Vec::new(), 0o600, false),
        ] {
            fs::write(&path, &content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_in(folder.path(), &path), Ok((content, is_open)), "{mode:o}");
        }
    }

    #[test]
    fn a_file_is_followed_to_where_the_kubelet_puts_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, content) in [("..1", "sk-1"), ("..2", "sk-2")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("openai"), content).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/openai", at("openai")).unwrap();
        let content = || read_in(folder.path(), &at("openai")).unwrap().0;
        assert_eq!(content(), b"sk-1");
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_eq!(content(), b"sk-2");
    }

    #[test]
    fn what_is_no_file_of_the_folder_is_not_read_and_nothing_waits() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("deeper")).unwrap();
        fs::write(at("deeper/token"), "eyJ").unwrap();
        fs::write(at("long"), vec![b'k'; MAX_SECRET_FILE_BYTES + 1]).unwrap();
        symlink("/dev/zero", at("endless")).unwrap();
        symlink("loop", at("loop")).unwrap();
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        for (path, error) in [
            (at("missing"), SecretFileError::Missing),
            (at("long/openai"), SecretFileError::Outside),
            (at("deeper"), SecretFileError::Special),
            (at("deeper/token"), SecretFileError::Outside),
            (at("endless"), SecretFileError::Special),
            (at("pipe"), SecretFileError::Special),
            (at("loop"), SecretFileError::Failed),
            (at("long"), SecretFileError::TooLong),
            (PathBuf::from("/etc/passwd"), SecretFileError::Outside),
            (folder.path().to_owned(), SecretFileError::Outside),
        ] {
            assert_eq!(read_in(folder.path(), &path), Err(error), "{}", path.display());
        }
    }

    #[test]
    fn without_a_variable_the_folders_hold_no_account_token() {
        let environment = ProcessEnvironment::new();
        for path in [
            "/run/secrets/kubernetes.io/serviceaccount/token",
            "/var/run/secrets/kubernetes.io/serviceaccount/token",
            "/run/secrets/tokens/istio-token",
            "/proc/self/environ",
            "/run/secrets",
        ] {
            assert_eq!(environment.file(path).err(), Some(SecretFileError::Outside), "{path}");
        }
    }
}
