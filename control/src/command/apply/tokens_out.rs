//! The file that gets new tokens, a JSON document a line. It is the only place that has them.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use keyswap_core::base::Digest;
use serde_json::json;
use zeroize::Zeroizing;

use crate::command::terminal::input;
use crate::registry::SecretText;

/// The open file.
pub(super) struct TokensOut(File);

impl TokensOut {
    /// Creates the file, which only its owner can read. A file that exists is an error: it may hold the tokens of an
    /// earlier run.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        file.map(Self).with_context(|| format!("cannot create {}", input::name(path)))
    }

    /// Writes a token to the disk, before the registry knows it: a crash loses none.
    pub(super) fn put(&mut self, label: &str, token: &SecretText) -> anyhow::Result<()> {
        let sha256 = Digest::of(token.expose().as_bytes()).to_hex();
        let line = json!({"label": label, "sha256": sha256, "token": token.expose()});
        let line = Zeroizing::new(format!("{line}\n"));
        self.0.write_all(line.as_bytes()).and_then(|()| self.0.sync_data()).context("cannot write the tokens")
    }
}
