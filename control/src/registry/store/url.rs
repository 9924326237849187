//! The address of a database.
//!
//! An address may hold a password, so errors and `Debug` do not show it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::registry::record::error::RegistryError;
use crate::registry::record::secret_text::SecretText;

/// The address of the registry's database.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// A file: `sqlite://keyswap.db`, `sqlite:///var/lib/keyswap/keyswap.db`.
    Sqlite(PathBuf),
    /// A PostgreSQL database, for several replicas: `postgres://…`, with the `sslmode` that holds.
    Postgres(SecretText),
}

impl FromStr for DatabaseUrl {
    type Err = RegistryError;

    fn from_str(url: &str) -> Result<Self, RegistryError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return verified(url).map(|url| Self::Postgres(SecretText::new(url)));
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

/// Returns the address of a server, with `sslmode=verify-full` where the server is on another machine and neither the
/// address nor `PGSSLMODE` says how to connect. The driver's own default falls back to plain text.
fn verified(url: &str) -> Result<String, RegistryError> {
    let options = options(url)?;
    // The driver takes its default for a value that it does not know.
    let of_environment = std::env::var("PGSSLMODE").is_ok_and(|mode| mode.parse::<PgSslMode>().is_ok());
    if is_local(&options) || is_said(url) || of_environment {
        return Ok(url.to_owned());
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    let strict = format!("{url}{separator}sslmode=verify-full");
    // Parsed again, so that nothing in the address hides the setting.
    match self::options(&strict)?.get_ssl_mode() {
        PgSslMode::VerifyFull => Ok(strict),
        _ => Err(RegistryError::DatabaseUrl("say `sslmode` in the address, such as `sslmode=verify-full`")),
    }
}

/// Returns the driver's reading of an address.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, RegistryError> {
    let invalid = "expected `postgres://USER@HOST/DATABASE`, and an `sslmode` of `disable`, `allow`, `prefer`, `require`, \
                   `verify-ca` or `verify-full`";
    url.parse().map_err(|_| RegistryError::DatabaseUrl(invalid))
}

/// Returns true if the server is reached without a network.
pub(super) fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Returns true if the address has a parameter `sslmode`.
fn is_said(url: &str) -> bool {
    let query = url.split('#').next().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query);
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .any(|(name, _)| matches!(name, "sslmode" | "ssl-mode"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_is_verified_unless_the_address_says_otherwise() {
        for (url, expect) in [
            ("postgres://a@db/a", "verify-full"),
            ("postgresql://a:SENTINEL@db.example.com:5432/a?application_name=x", "verify-full"),
            ("postgres://a@192.0.2.7/a", "verify-full"),
            ("postgres://a@localhost/a?host=db.example.com", "verify-full"),
            ("postgres://a@localhost/a?hostaddr=192.0.2.7", "verify-full"),
            ("postgres://a@db/a?sslrootcert=/etc/ca.pem", "verify-full"),
            ("postgres://a@db/sslmode=disable", "verify-full"),
            ("postgres://a@db/a?application_name=sslmode", "verify-full"),
            ("postgres://a@db/a?sslmode=require", "require"),
            ("postgres://a@db/a?x=y&ssl-mode=disable", "disable"),
            ("postgres://a@localhost/a", "prefer"),
            ("postgres://a@127.0.0.1/a", "prefer"),
            ("postgres://a@[::1]/a", "prefer"),
            ("postgres://a@db/a?host=/run/postgresql", "prefer"),
        ] {
            let Ok(DatabaseUrl::Postgres(found)) = url.parse() else { panic!("{url}") };
            let found = options(found.expose()).unwrap().get_ssl_mode();
            let is_expected = match expect {
                "verify-full" => matches!(found, PgSslMode::VerifyFull),
                "require" => matches!(found, PgSslMode::Require),
                "disable" => matches!(found, PgSslMode::Disable),
                _ => matches!(found, PgSslMode::Prefer),
            };
            assert!(is_expected, "{url}: {found:?} instead of {expect}");
        }
        // A fragment would hide what is appended.
        for url in
            ["postgres://a@db/a#SENTINEL", "postgres://a@db/a?sslmode=SENTINEL", "postgres://a@db:SENTINEL/a"]
        {
            let error = url.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(error.contains("sslmode") && !error.contains("SENTINEL"), "{error}");
        }
    }

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
