//! The actors of the audit log.

use std::fmt;

use super::reach::Reach;

/// The longest name of an actor.
const MAX_NAME_CHARS: usize = 254;

/// The author of a change or an attempt: `admin`, `command line`, the address of a person, the name of an API key, or
/// nobody known. An actor changes only what is in reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    name: String,
    reach: Reach,
}

impl Actor {
    /// Returns an actor by its name, with all of the registry in reach. Control characters are dropped, and the name is
    /// truncated to 254 characters.
    pub fn new(name: &str) -> Self {
        Self::within(name, Reach::All)
    }

    /// Returns an actor with a part of the registry in reach.
    pub fn within(name: &str, reach: Reach) -> Self {
        let name = name.chars().filter(|char| !char.is_control()).take(MAX_NAME_CHARS).collect();
        Self { name, reach }
    }

    /// Returns the actor of an attempt whose author is not known, such as a failed sign-in.
    pub const fn unknown() -> Self {
        Self { name: String::new(), reach: Reach::All }
    }

    /// Returns the name as it is shown, `None` for the unknown actor. `name` comes from the database.
    pub(in crate::registry) fn shown(name: String) -> Option<String> {
        Some(name).filter(|name| !name.is_empty())
    }

    /// Returns the part of the registry that the actor sees and changes.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    pub(in crate::registry) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
