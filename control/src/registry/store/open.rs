//! Opening a database of either kind. An error names the file or the server and the remedy, and no password.

use std::io::ErrorKind;
use std::path::Path;

use super::database::Store;
use super::url::{self, DatabaseUrl};
use super::{postgres, sqlite};
use crate::registry::record::error::RegistryError;

impl Store {
    pub(in crate::registry) async fn open(url: &DatabaseUrl) -> Result<Self, RegistryError> {
        sqlx::any::install_default_drivers();
        match url {
            DatabaseUrl::Sqlite(path) => sqlite::open(path).await.map_err(|error| of_file(path, error)),
            DatabaseUrl::Postgres(url) => {
                postgres::open(url.expose()).await.map_err(|error| of_server(url.expose(), error))
            }
        }
    }
}

fn of_file(path: &Path, error: RegistryError) -> RegistryError {
    let why = match error {
        RegistryError::DatabaseUrl(_) => return error,
        RegistryError::File(error) => match error.kind() {
            ErrorKind::NotFound => {
                "its folder does not exist: make the folder, or correct the path".to_owned()
            }
            ErrorKind::IsADirectory => "it is a folder: name a file".to_owned(),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                format!("{error}: this user needs the right to write the file and its folder")
            }
            _ => error.to_string(),
        },
        RegistryError::Database(error) => match code(&error).as_deref() {
            // SQLITE_NOTADB
            Some("26") => "it is no database of SQLite: name another file".to_owned(),
            _ => error.to_string(),
        },
        error => error.to_string(),
    };
    RegistryError::Unopened { place: format!("`{}`", path.display().to_string().escape_debug()), why }
}

fn of_server(address: &str, error: RegistryError) -> RegistryError {
    let Ok(options) = url::options(address) else { return error };
    let why = match error {
        RegistryError::DatabaseUrl(_) => return error,
        RegistryError::Database(sqlx::Error::Io(error)) => match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => {
                "no server listens there: start it, or correct the address".to_owned()
            }
            _ => format!("{error}: check the address"),
        },
        RegistryError::Database(sqlx::Error::PoolTimedOut) => {
            "the server does not answer: check the address, and that the network lets connections through"
                .to_owned()
        }
        // The words of the server may name the user.
        RegistryError::Database(error) => match code(&error).as_deref() {
            Some("28P01" | "28000") => "the server refuses the user or the password".to_owned(),
            Some("3D000") => "the server has no such database: create it, or correct the address".to_owned(),
            _ => error.to_string(),
        },
        error => error.to_string(),
    };
    let place = match options.get_socket() {
        Some(socket) => format!("`{}`", socket.display().to_string().escape_debug()),
        None => format!("`{}:{}`", options.get_host().escape_debug(), options.get_port()),
    };
    RegistryError::Unopened { place, why }
}

/// Returns the code that the database gives an error.
fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_error_of_a_file_names_the_file_and_the_remedy() {
        for (kind, remedy) in [
            (ErrorKind::NotFound, "make the folder"),
            (ErrorKind::IsADirectory, "name a file"),
            (ErrorKind::PermissionDenied, "the right to write"),
            (ErrorKind::ReadOnlyFilesystem, "the right to write"),
        ] {
            let error = of_file(Path::new("a\u{1b}/b.db"), RegistryError::File(io::Error::from(kind)));
            let told = error.to_string();
            assert!(told.starts_with("cannot open the database `a\\u{1b}/b.db`: "), "{told}");
            assert!(told.contains(remedy), "{told}");
        }
    }

    #[test]
    fn an_error_of_a_server_names_its_host_and_port_alone() {
        for (url, place) in [
            ("postgres://SENTINEL:SENTINEL@db.example/keyswap?sslmode=disable", "`db.example:5432`"),
            ("postgres://SENTINEL@db:6000/keyswap?password=SENTINEL", "`db:6000`"),
            ("postgres://SENTINEL@localhost/keyswap?host=/run/postgresql", "`/run/postgresql`"),
        ] {
            for (kind, remedy) in
                [(ErrorKind::ConnectionRefused, "start it"), (ErrorKind::TimedOut, "check the address")]
            {
                let error = RegistryError::Database(sqlx::Error::Io(io::Error::from(kind)));
                let told = of_server(url, error).to_string();
                assert!(told.contains(place) && told.contains(remedy), "{told}");
                assert!(!told.contains("SENTINEL"), "{told}");
            }
        }
    }
}
