//! Who changes something, as the audit log has it.

use std::fmt;

/// The longest name that is kept of an actor.
const LONGEST: usize = 254;

/// Whose change it is: `admin`, `cli`, or the address of whoever signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// An actor by its name. Control characters and what exceeds 254 characters are dropped.
    pub fn new(name: &str) -> Self {
        Self(name.chars().filter(|char| !char.is_control()).take(LONGEST).collect())
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
