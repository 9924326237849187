//! The places where a secret could be seen: arguments, files, the log.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use keyswap_tests::Standin;

use super::support::{KEY, Setup, TOKEN, models, policy};

/// Returns the files and folders below a folder.
pub(crate) fn below(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(below(&path));
        }
        all.push(path);
    }
    all
}

#[test]
fn secrets_are_in_no_argument_no_file_of_others_and_no_log() {
    let standin = Standin::start().unwrap();
    for host in ["envoy", "module", "wasmtime"] {
        let args = ["--host", host, "--log", "trace"];
        let up = Setup::new(&policy(&standin, &[TOKEN])).args(&args).start();
        for token in [TOKEN, "ptk_unknown-SENTINEL-token"] {
            up.send(&models(token));
        }
        let reached = standin.take();
        assert!(reached.iter().any(|request| request.contains(KEY)), "the key reaches the provider");

        for child in up.children() {
            let arguments = fs::read(format!("/proc/{}/cmdline", child.as_raw_nonzero())).unwrap();
            let arguments = String::from_utf8_lossy(&arguments).into_owned();
            assert!(!arguments.contains("SENTINEL") && !arguments.contains("krc_"), "{arguments}");
        }
        let kept = up.folder().join(".local/share/keyswap");
        let password = fs::read_to_string(kept.join("admin-password")).unwrap();
        for folder in [kept, up.temporary()] {
            let files = below(&folder);
            assert!(!files.is_empty(), "{}", folder.display());
            for path in files {
                let mode = fs::metadata(&path).unwrap().mode();
                assert_eq!(mode & 0o077, 0, "others may read {}", path.display());
                let is_file = path.is_file();
                let text = if is_file { fs::read(&path).unwrap() } else { Vec::new() };
                let text = String::from_utf8_lossy(&text);
                let found = ["SENTINEL", "krc_", TOKEN].into_iter().find(|secret| text.contains(secret));
                assert_eq!(found, None, "{}", path.display());
            }
        }
        for text in [up.log(), up.output()] {
            for secret in ["SENTINEL", "krc_", TOKEN, password.trim()] {
                assert!(!text.contains(secret), "{host}: {secret} is in {text}");
            }
        }
    }
}
