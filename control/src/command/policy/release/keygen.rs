//! `keyswap policy keygen`: a key that signs policies, and its public part for data planes.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::input;
use crate::command::terminal::output::{self, visible};
use crate::signing::{Algorithm, MAX_KEY_BYTES, SigningKey};

/// Generate a key that signs policies, or a registry's records, and print its public key
///
/// Writes the private key to a new file that only its owner can read, and never overwrites a file. Prints the public
/// key as a JWK Set (RFC 7517), for `keys` in a data plane's `keyswap-bundle/v1`, or for `registry.keys` in a policy. To replace a key, configure both
/// public keys in the data planes, sign with the new key, then remove the old one.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy keygen policy.key > policy-keys.json\n  keyswap policy keygen policy.key --show"
))]
pub(crate) struct Keygen {
    /// File for the private key, in PKCS#8; with `--show`, an existing one
    #[arg(value_name = "FILE")]
    key: PathBuf,
    /// Signature algorithm
    #[arg(long, value_enum, default_value_t)]
    algorithm: Algorithm,
    /// Print the public key of an existing private key, such as one from OpenSSL
    #[arg(long, conflicts_with = "algorithm")]
    show: bool,
}

impl Keygen {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        if !self.show {
            self.write()?;
        }
        let key = SigningKey::read(&input::read(&self.key, MAX_KEY_BYTES)?)
            .with_context(|| format!("cannot use {}", input::name(&self.key)))?;
        output::print_json(&json!({"keys": [key.public()]}))?;
        Ok(Exit::Ok)
    }

    fn write(&self) -> anyhow::Result<()> {
        if input::is_stdin(&self.key) {
            bail!("pass a file name for the key: it is not printed");
        }
        let name = visible(&self.key.display().to_string());
        let pem = self.algorithm.generate()?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.key);
        let written = file.and_then(|mut file| file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()));
        written.with_context(|| format!("cannot write `{name}`"))?;
        output::note(&format!(
            "# `{name}` signs: keep it readable only for those who may publish policies, or for the registry."
        ));
        Ok(())
    }
}
