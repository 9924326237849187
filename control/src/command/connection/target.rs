//! The registry that a command works on: a database, or a server.

use std::env;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use super::local::Local;
use super::operations::Operations;
use super::remote::{Address, Remote};
use crate::command::rate;
use crate::command::secret_variable;
use crate::command::terminal::output::{Format, visible};
use crate::registry::DatabaseUrl;

const DATABASE: &str = "KEYSWAP_DATABASE";
const SERVER: &str = "KEYSWAP_SERVER";

/// The registry, and the form of the output.
#[derive(Args)]
pub(in crate::command) struct Target {
    /// Where the registry is kept: `sqlite://FILE` or `postgres://…`; else what `KEYSWAP_DATABASE` says
    ///
    /// Others can read the arguments of a process: give an address with a password in the environment.
    #[arg(long, value_name = "URL", conflicts_with = "server")]
    database: Option<String>,
    /// The address of the registry's server, such as `https://keyswap.example.com`; else what `KEYSWAP_SERVER` says
    ///
    /// The password is the one in `KEYSWAP_ADMIN_PASSWORD`, or in the file that `KEYSWAP_ADMIN_PASSWORD_FILE` names.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Send the password to a server that has no TLS
    #[arg(long)]
    allow_plaintext: bool,
    /// How long to wait for each of the server's answers
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = rate::parse_timeout)]
    timeout: Duration,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::command) format: Format,
}

/// The place of a registry.
enum Place {
    Database(String),
    Server(String),
}

impl Target {
    /// Returns true if a registry is named.
    pub(in crate::command) fn is_named(&self) -> anyhow::Result<bool> {
        self.place().map(|place| place.is_some())
    }

    /// Opens the registry, which is made if it is a file that is not there yet.
    pub(in crate::command) fn open_or_make(&self) -> anyhow::Result<Box<dyn Operations>> {
        match self.require()? {
            Place::Database(url) => Ok(Box::new(Local::open(&url.parse()?)?)),
            Place::Server(url) => self.sign_in(&url),
        }
    }

    /// Opens the registry. A file that is not there is an error: it is a slip of the pen, and not an empty registry.
    pub(in crate::command) fn open(&self) -> anyhow::Result<Box<dyn Operations>> {
        if let Place::Database(url) = self.require()?
            && let DatabaseUrl::Sqlite(path) = url.parse()?
            && !path.exists()
        {
            let path = visible(&path.display().to_string());
            bail!("there is no database `{path}`: `keyswap serve` and `keyswap token create` make one");
        }
        self.open_or_make()
    }

    fn sign_in(&self, url: &str) -> anyhow::Result<Box<dyn Operations>> {
        let address = Address::parse(url, self.allow_plaintext)?;
        let password = secret_variable::ADMIN_PASSWORD.require()?;
        Ok(Box::new(Remote::sign_in(address, self.timeout, &password)?))
    }

    fn require(&self) -> anyhow::Result<Place> {
        self.place()?.context(
            "which registry? Name it with `--database` or `--server`, or in `KEYSWAP_DATABASE` or `KEYSWAP_SERVER`",
        )
    }

    /// Returns the place. An argument goes before the environment.
    fn place(&self) -> anyhow::Result<Option<Place>> {
        let (database, server) = match (&self.database, &self.server) {
            (None, None) => (variable(DATABASE)?, variable(SERVER)?),
            (database, server) => (database.clone(), server.clone()),
        };
        ensure!(
            database.is_none() || server.is_none(),
            "both `{DATABASE}` and `{SERVER}` are set: say `--database` or `--server`"
        );
        Ok(database.map(Place::Database).or(server.map(Place::Server)))
    }
}

/// Returns a variable that is set and not empty.
fn variable(name: &'static str) -> anyhow::Result<Option<String>> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => bail!("`{name}` is not UTF-8"),
    }
}
