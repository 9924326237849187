//! Secrets of the server, from an environment variable or from a file that a variable names.
//!
//! Errors name the variable and never the value.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use super::terminal::input;
use crate::registry::SecretText;

/// The variable with the data planes' credential; with the suffix `_FILE`, the name of a file that holds it.
pub(super) const REGISTRY_TOKEN: Variable = Variable { name: "KEYSWAP_REGISTRY_TOKEN", shortest: 16 };

/// The variable with the administrator's password; with the suffix `_FILE`, the name of a file that holds it.
pub(super) const ADMIN_PASSWORD: Variable = Variable { name: "KEYSWAP_ADMIN_PASSWORD", shortest: 12 };

/// The variable with the database's address, which may hold a password; with the suffix `_FILE`, the name of a file that
/// holds it.
pub(super) const DATABASE: Variable = Variable { name: "KEYSWAP_DATABASE", shortest: 0 };

/// The variable with an API key, which the command sends in place of the password; with the suffix `_FILE`, the name of a file that
/// holds it.
pub(super) const API_KEY: Variable = Variable { name: "KEYSWAP_API_KEY", shortest: 16 };

/// The secret of the server at an `OpenID` provider.
pub(super) const OIDC_CLIENT_SECRET: Variable = Variable { name: "KEYSWAP_OIDC_CLIENT_SECRET", shortest: 1 };

/// The longest secret.
const MAX_SECRET_BYTES: usize = 1024;

/// A secret in the environment. `shortest` is its minimum length in characters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variable {
    name: &'static str,
    shortest: usize,
}

impl Variable {
    /// Returns the secret, `None` if neither variable is set. Both variables together are an error.
    pub(super) fn read(self) -> anyhow::Result<Option<SecretText>> {
        let name = self.name;
        let file_name = format!("{name}_FILE");
        match (std::env::var_os(name), std::env::var_os(&file_name)) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => bail!("both `{name}` and `{file_name}` are set: set one of them"),
            (Some(value), None) => {
                let Ok(value) = value.into_string() else { bail!("`{name}` is not UTF-8") };
                self.check(name, value).map(Some)
            }
            (None, Some(path)) => self.read_file(&file_name, Path::new(&path)).map(Some),
        }
    }

    /// Returns the secret in a file, which `place` names in errors.
    pub(super) fn read_file(self, place: &str, path: &Path) -> anyhow::Result<SecretText> {
        let bytes = input::read(path, MAX_SECRET_BYTES).with_context(|| format!("`{place}`"))?;
        let Ok(value) = String::from_utf8(bytes) else { bail!("the file of `{place}` is not UTF-8") };
        // Editors and `echo` end a file with a line break, which is not part of the secret.
        let value = value.strip_suffix('\n').unwrap_or(&value);
        let value = value.strip_suffix('\r').unwrap_or(value);
        self.check(place, value.to_owned())
    }

    /// Returns how to set the secret.
    pub(super) fn remedy(self) -> String {
        let name = self.name;
        format!("set `{name}`, or set `{name}_FILE` to the name of a file that holds it")
    }

    fn check(self, place: &str, value: String) -> anyhow::Result<SecretText> {
        let value = SecretText::new(value);
        let text = value.expose();
        ensure!(!text.chars().any(char::is_control), "`{place}` contains a control character");
        let length = text.chars().count();
        ensure!(
            length >= self.shortest,
            "`{place}` is too short: it needs at least {} characters",
            self.shortest
        );
        ensure!(
            text.len() <= MAX_SECRET_BYTES,
            "`{place}` is too long: it may have at most {MAX_SECRET_BYTES} bytes"
        );
        Ok(value)
    }
}
