//! Placeholders of secrets, where none is looked up.

use keyswap_core::host::{Environment, SecretFile, SecretFileError};

/// Has a value for every variable, for every file and for all that would be fetched: its name in angle brackets.
pub struct Placeholders;

impl Environment for Placeholders {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        Some(format!("<{name}>").into_bytes())
    }

    fn file(&self, path: &str) -> Result<SecretFile, SecretFileError> {
        Ok(SecretFile { bytes: format!("<file:{path}>").into_bytes(), is_open_to_all: false })
    }

    fn is_stand_in(&self) -> bool {
        true
    }

    fn fetched(&self, credential: &str) -> Option<Vec<u8>> {
        Some(format!("<fetched:{credential}>").into_bytes())
    }
}
