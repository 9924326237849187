//! The session of this device in a file of the user, mode 0600.
//!
//! Each refresh replaces the refresh token, and the server ends a session whose older token comes again. So the file is locked from its
//! reading until the next token is in it: agents that ask at the same time wait for one another, and one of them refreshes.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::command::terminal::{input, written};

/// The longest file of a session.
const MAX_BYTES: usize = 64 * 1024;

/// The file with the session.
#[derive(Args)]
pub(super) struct KeptArgs {
    /// File with the session of this device (default: `keyswap/session.json` in `XDG_STATE_HOME` or `~/.local/state`)
    #[arg(long, env = "KEYSWAP_SESSION_FILE", value_name = "FILE", value_parser = written::path())]
    session_file: Option<PathBuf>,
}

/// A session as the file has it. It has no `Debug`: it holds tokens.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    /// The address of the server.
    pub(super) server: String,
    pub(super) refresh_token: String,
    pub(super) access_token: String,
    /// The time from which another access token is asked for, in seconds since 1970.
    pub(super) refresh_at: u64,
    /// The time at which the access token expires.
    pub(super) expires_at: u64,
}

/// The answer of the server with tokens.
#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: String,
    expires_in: u64,
}

/// The locked file of a session. The lock ends with the value.
pub(super) struct Locked {
    path: PathBuf,
    _lock: File,
}

impl Kept {
    /// Reads the answer of a server. The token is used for half of its lifetime, so that an agent has the other half.
    pub(super) fn read(server: String, body: &[u8]) -> anyhow::Result<Self> {
        let tokens: Tokens =
            serde_json::from_slice(body).ok().context("the server does not answer like `keyswap serve`")?;
        let is_token = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(is_token(&tokens.access_token), "the server's token has a character that no token has");
        let now = now();
        Ok(Self {
            server,
            refresh_token: tokens.refresh_token,
            access_token: tokens.access_token,
            refresh_at: now.saturating_add(tokens.expires_in / 2),
            expires_at: now.saturating_add(tokens.expires_in),
        })
    }
}

impl KeptArgs {
    /// Locks the file, after all others that have it. The file need not be there.
    pub(super) fn lock(&self) -> anyhow::Result<Locked> {
        let path = match &self.session_file {
            Some(path) => path.clone(),
            None => default_path()?,
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.with_context(|| format!("cannot make {}", input::name(folder)))?;
        }
        let mut beside = path.clone().into_os_string();
        beside.push(".lock");
        let beside = PathBuf::from(beside);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&beside);
        let lock = lock.and_then(|file| file.lock().map(|()| file));
        let lock = lock.with_context(|| format!("cannot lock {}", input::name(&beside)))?;
        Ok(Locked { path, _lock: lock })
    }
}

impl Locked {
    /// Returns the session, `None` if there is none.
    pub(super) fn read(&self) -> anyhow::Result<Option<Kept>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let bytes = input::read(&self.path, MAX_BYTES)?;
        let kept = serde_json::from_slice(&bytes).ok();
        // The error of the parser could quote a token.
        kept.map(Some).with_context(|| format!("{} holds no session: remove it", input::name(&self.path)))
    }

    /// Replaces the file as a whole, so that no crash leaves half of a token.
    pub(super) fn write(&self, kept: &Kept) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", input::name(&self.path));
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // The file has mode 0600 from the beginning.
        let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).with_context(failed)?;
        serde_json::to_writer(&mut file, kept).with_context(failed)?;
        file.flush().and_then(|()| file.as_file().sync_all()).with_context(failed)?;
        file.persist(&self.path).with_context(failed)?;
        Ok(())
    }

    pub(super) fn remove(&self) -> anyhow::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", input::name(&self.path)))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the time in seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Returns the file of the user (XDG Base Directory Specification).
fn default_path() -> anyhow::Result<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    let state = state.context("neither `XDG_STATE_HOME` nor `HOME` is set: pass `--session-file`")?;
    Ok(state.join("keyswap/session.json"))
}
