//! Placeholders of secrets, where none is looked up.

use keyswap_core::host::Environment;

/// Has a value for every variable and for all that would be fetched: its name in angle brackets.
pub struct Placeholders;

impl Environment for Placeholders {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        Some(format!("<{name}>").into_bytes())
    }

    fn is_stand_in(&self) -> bool {
        true
    }

    fn fetched(&self, credential: &str) -> Option<Vec<u8>> {
        Some(format!("<fetched:{credential}>").into_bytes())
    }
}
