//! The actors of the audit log.

use std::fmt;

/// The longest name of an actor.
const MAX_NAME_CHARS: usize = 254;

/// The author of a change or an attempt: `admin`, `command line`, the address of an administrator, or nobody known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// Returns an actor by its name. Control characters are dropped, and the name is truncated to 254 characters.
    pub fn new(name: &str) -> Self {
        Self(name.chars().filter(|char| !char.is_control()).take(MAX_NAME_CHARS).collect())
    }

    /// Returns the actor of an attempt whose author is not known, such as a failed sign-in.
    pub const fn unknown() -> Self {
        Self(String::new())
    }

    /// Returns the name as it is shown, `None` for the unknown actor. `name` comes from the database.
    pub(in crate::registry) fn shown(name: String) -> Option<String> {
        Some(name).filter(|name| !name.is_empty())
    }

    pub(in crate::registry) fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
