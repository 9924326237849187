//! The arguments that name the registry: a database or a server.

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

/// The registry and the output format.
#[derive(Args)]
pub(in crate::command) struct Target {
    #[command(flatten)]
    registry: RegistryArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::command) format: Format,
}

/// The registry: a database or a server.
#[derive(Args)]
pub(in crate::command) struct RegistryArgs {
    /// Database of the registry: `sqlite://FILE` or `postgres://…` (default: `KEYSWAP_DATABASE`, or the content of the file
    /// that `KEYSWAP_DATABASE_FILE` names)
    ///
    /// Other users of a machine can read the arguments of a process. Pass a URL with a password in the environment
    /// or in a file.
    #[arg(long, value_name = "URL", conflicts_with = "server")]
    database: Option<String>,
    /// Address of the registry's server, such as `https://keyswap.example.com` (default: `KEYSWAP_SERVER`)
    ///
    /// The password is read from `KEYSWAP_ADMIN_PASSWORD`, or from the file that `KEYSWAP_ADMIN_PASSWORD_FILE` names. A program sets
    /// `KEYSWAP_API_KEY` or `KEYSWAP_API_KEY_FILE` instead.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Send the password to a server without TLS
    #[arg(long)]
    allow_plaintext: bool,
    /// Time to wait for each answer of the server, from `1s` to `1h`
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = rate::parse_timeout)]
    timeout: Duration,
}

/// The place of a registry.
enum Place {
    Database(String),
    Server(String),
}

impl Target {
    /// Returns true if the arguments or the environment name a registry.
    pub(in crate::command) fn is_named(&self) -> anyhow::Result<bool> {
        self.registry.place().map(|place| place.is_some())
    }

    /// Opens the registry. A missing SQLite file is created.
    pub(in crate::command) fn open_or_make(&self) -> anyhow::Result<Box<dyn Operations>> {
        self.registry.open_or_make()
    }

    /// Opens the registry. A missing SQLite file is an error: its name is more likely mistyped than the registry empty.
    pub(in crate::command) fn open(&self) -> anyhow::Result<Box<dyn Operations>> {
        self.registry.open()
    }
}

impl RegistryArgs {
    fn open_or_make(&self) -> anyhow::Result<Box<dyn Operations>> {
        match self.require()? {
            Place::Database(url) => Ok(Box::new(Local::open(&url.parse()?)?)),
            Place::Server(url) => self.sign_in(&url),
        }
    }

    /// Opens the registry. A missing SQLite file is an error: its name is more likely mistyped than the registry empty.
    pub(in crate::command) fn open(&self) -> anyhow::Result<Box<dyn Operations>> {
        if let Place::Database(url) = self.require()?
            && let DatabaseUrl::Sqlite(path) = url.parse()?
            && !path.exists()
        {
            let path = visible(&path.display().to_string());
            bail!("no database at `{path}`: `keyswap serve` and `keyswap token create` create one");
        }
        self.open_or_make()
    }

    fn sign_in(&self, url: &str) -> anyhow::Result<Box<dyn Operations>> {
        let address = Address::parse(url, self.allow_plaintext)?;
        match (secret_variable::API_KEY.read()?, secret_variable::ADMIN_PASSWORD.read()?) {
            (Some(key), None) => Ok(Box::new(Remote::with_key(address, self.timeout, &key)?)),
            (None, Some(password)) => Ok(Box::new(Remote::sign_in(address, self.timeout, &password)?)),
            (Some(_), Some(_)) => {
                bail!("both an API key and the administrator's password are set: set one of them")
            }
            (None, None) => bail!("{}, or set `KEYSWAP_API_KEY`", secret_variable::ADMIN_PASSWORD.remedy()),
        }
    }

    fn require(&self) -> anyhow::Result<Place> {
        self.place()?.context(
            "no registry given: pass `--database` or `--server`, or set `KEYSWAP_DATABASE` or `KEYSWAP_SERVER`",
        )
    }

    /// Returns the place, `None` if none is named. Arguments override the environment.
    fn place(&self) -> anyhow::Result<Option<Place>> {
        let (database, server) = match (&self.database, &self.server) {
            (None, None) => (database()?, variable(SERVER)?),
            (database, server) => (database.clone(), server.clone()),
        };
        ensure!(
            database.is_none() || server.is_none(),
            "both `{DATABASE}` and `{SERVER}` are set: pass `--database` or `--server`"
        );
        Ok(database.map(Place::Database).or(server.map(Place::Server)))
    }
}

/// Returns the database that the environment names, `None` if it names none.
fn database() -> anyhow::Result<Option<String>> {
    let named = secret_variable::DATABASE.read()?;
    Ok(named.map(|url| url.expose().to_owned()).filter(|url| !url.is_empty()))
}

/// Returns the value of a variable, `None` if it is unset or empty.
fn variable(name: &'static str) -> anyhow::Result<Option<String>> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => bail!("`{name}` is not UTF-8"),
    }
}
