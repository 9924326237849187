//! The folders of a run: one for what is kept between runs, and one for what ends with the run.
//!
//! Files are created for their owner only ([`keep_files_private`]): configurations name secrets, and a database has digests.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::Mode;
use tempfile::TempDir;

use crate::command::terminal::output::visible;
use crate::registry::{DatabaseUrl, SecretText};

/// The folders of a run.
pub(super) struct Folder {
    kept: Option<PathBuf>,
    run: TempDir,
}

/// Gives files that this process and its children create to their owner only.
pub(super) fn keep_files_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Returns the folder for data of this user: `$XDG_DATA_HOME/keyswap`, else `~/.local/share/keyswap`.
pub(super) fn default_data() -> anyhow::Result<PathBuf> {
    let named = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    match named.or_else(|| Some(env::home_dir()?.join(".local/share"))) {
        Some(folder) if folder.is_absolute() => Ok(folder.join("keyswap")),
        _ => bail!("there is no home folder for the registry's data: name a folder with `--data`"),
    }
}

impl Folder {
    /// Makes the folders. Without `data` nothing is kept.
    pub(super) fn make(data: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(data) = data {
            fs::create_dir_all(data)
                .with_context(|| format!("cannot create `{}`", visible(&data.display().to_string())))?;
        }
        let run = tempfile::Builder::new()
            .prefix("keyswap-")
            .tempdir()
            .context("cannot create a temporary folder")?;
        Ok(Self { kept: data.map(Path::to_path_buf), run })
    }

    /// Returns the folder that is removed at the end of the run.
    pub(super) fn run(&self) -> &Path {
        self.run.path()
    }

    /// Returns the folder that stays, `None` where nothing is kept.
    pub(super) fn kept(&self) -> Option<&Path> {
        self.kept.as_deref()
    }

    /// Returns the registry's database.
    pub(super) fn database(&self) -> DatabaseUrl {
        DatabaseUrl::Sqlite(self.kept().unwrap_or(self.run()).join("registry.db"))
    }

    /// Writes a secret into a file that stays. Returns the file, `None` where nothing is kept.
    pub(super) fn keep_secret(&self, name: &str, secret: &SecretText) -> anyhow::Result<Option<PathBuf>> {
        let Some(kept) = self.kept() else { return Ok(None) };
        let path = kept.join(name);
        // A file of an earlier database may be there, with the rights that it has.
        let _ = fs::remove_file(&path);
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&path);
        opened
            .and_then(|mut file| writeln!(file, "{}", secret.expose()))
            .with_context(|| format!("cannot write `{}`", visible(&path.display().to_string())))?;
        Ok(Some(path))
    }
}
