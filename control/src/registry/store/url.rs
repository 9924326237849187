//! The address of a database.
//!
//! An address may hold a password, so errors and `Debug` do not show it.

use std::path::PathBuf;
use std::str::FromStr;

use crate::registry::record::error::RegistryError;
use crate::registry::record::secret_text::SecretText;

/// The address of the registry's database.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// A file: `sqlite://keyswap.db`, `sqlite:///var/lib/keyswap/keyswap.db`.
    Sqlite(PathBuf),
    /// A PostgreSQL database, for several replicas: `postgres://…`.
    Postgres(SecretText),
}

impl FromStr for DatabaseUrl {
    type Err = RegistryError;

    fn from_str(url: &str) -> Result<Self, RegistryError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(SecretText::new(url.to_owned())));
        }
        let path = url
            .strip_prefix("sqlite://")
            .or_else(|| url.strip_prefix("sqlite:"))
            .ok_or(RegistryError::DatabaseUrl("expected `sqlite://FILE` or `postgres://…`"))?;
        match path {
            "" => Err(RegistryError::DatabaseUrl("`sqlite://` needs a file name")),
            ":memory:" => {
                Err(RegistryError::DatabaseUrl("a database in memory would be lost when the command ends"))
            }
            path if path.contains('?') => {
                Err(RegistryError::DatabaseUrl("`sqlite://FILE` takes no parameters"))
            }
            path => Ok(Self::Sqlite(PathBuf::from(path))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_files_and_servers_and_shows_no_password() {
        for (url, file) in [
            ("sqlite://keyswap.db", "keyswap.db"),
            ("sqlite:keyswap.db", "keyswap.db"),
            ("sqlite:///var/lib/Key swap.db", "/var/lib/Key swap.db"),
        ] {
            let Ok(DatabaseUrl::Sqlite(path)) = url.parse() else { panic!("{url}") };
            assert_eq!(path, PathBuf::from(file));
        }
        let server: DatabaseUrl = "postgres://keyswap:SENTINEL@db/keyswap".parse().unwrap();
        assert!(!format!("{server:?}").contains("SENTINEL"));
        for url in
            ["", "keyswap.db", "sqlite://", "sqlite::memory:", "sqlite://a?mode=ro", "mysql://SENTINEL@a/b"]
        {
            let error = url.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(!error.contains("SENTINEL"), "{error}");
        }
    }
}
