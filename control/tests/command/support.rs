//! Runs of the binary, with their whole output.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The token of the usual policy. It must never be printed.
pub(crate) const TOKEN: &str = "ptk_SENTINELsentinelSENTINELsentinel";

/// The SHA-256 of [`TOKEN`].
pub(crate) const DIGEST: &str = "25acd6678bcfe7b69f1700970e0d9401dcc6d4eb0d7ffc6828027b700d9f049a";

/// The output of the command.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Parses standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// Returns both streams, to check that neither contains a text.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs `keyswap` in an environment without secrets.
pub(crate) fn keyswap(args: &[&str]) -> Run {
    keyswap_with(args, b"", &[])
}

/// Runs `keyswap` with standard input and an environment.
pub(crate) fn keyswap_with(args: &[&str], stdin: &[u8], environment: &[(&str, &str)]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyswap"))
        .args(args)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its input early leaves some of it unread.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Asserts that the output has no control characters: nothing moves the cursor or reverses text.
pub(crate) fn assert_only_text(run: &Run) {
    let all = run.all();
    let is_text = |char: char| {
        char == '\n'
            || !(char.is_control() || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    };
    assert!(all.chars().all(is_text), "{all:?}");
}

/// A temporary folder, deleted on drop.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Returns a policy in YAML with [`TOKEN`] and the tokens in `more`.
pub(crate) fn policy(more: &str) -> String {
    format!(
        "\
version: keyswap/v1
credentials:
  openai: [{{env: OPENAI_API_KEY}}]
  anthropic: [{{env: ANTHROPIC_API_KEY}}]
  cf_aig: [{{env: CF_AIG_TOKEN}}]
gateway:
  cloudflare:
    account: 0123456789abcdef
    gateway: prod
    credential: cf_aig
    mode: provider_key
    metadata: {{user_id: principal.email, token: principal.label}}
tokens:
  - sha256: {DIGEST}
    label: alice-laptop
    owner: alice@acme.example
    providers: [openai]
    expires_at: 2027-06-30T00:00:00Z
{more}"
    )
}

/// A time at which the token of [`policy`] is valid.
pub(crate) const THEN: &str = "2026-06-30T00:00:00Z";
