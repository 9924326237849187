//! The file that gets new tokens, a JSON document a line. It is the only place that has them.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use keyswap_core::base::Digest;
use serde_json::json;
use zeroize::Zeroizing;

use crate::command::terminal::input;
use crate::registry::SecretText;

/// The open file.
pub(super) struct TokensOut {
    file: File,
    /// The length without the last line.
    before: u64,
}

impl TokensOut {
    /// Creates the file, which only its owner can read. A file that exists is an error: it may hold the tokens of an
    /// earlier run.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.with_context(|| format!("cannot create {}", input::name(path)))?;
        Ok(Self { file, before: 0 })
    }

    /// Writes a token to the disk, before the registry knows it: a crash loses none.
    pub(super) fn put(&mut self, label: &str, token: &SecretText) -> anyhow::Result<()> {
        let sha256 = Digest::of(token.expose().as_bytes()).to_hex();
        let line = json!({"label": label, "sha256": sha256, "token": token.expose()});
        let line = Zeroizing::new(format!("{line}\n"));
        let mut put = || {
            self.before = self.file.stream_position()?;
            self.file.write_all(line.as_bytes())?;
            self.file.sync_data()
        };
        put().context("cannot write the tokens")
    }

    /// Removes the last token, which the registry has refused.
    pub(super) fn take_back(&mut self) -> anyhow::Result<()> {
        let mut take_back = || {
            self.file.set_len(self.before)?;
            self.file.seek(SeekFrom::Start(self.before))?;
            self.file.sync_data()
        };
        take_back().context("cannot remove a token that the registry has refused")
    }
}
