//! The administrator that signs in with the password.

use crate::registry::Actor;

/// The administrator's name in the audit log.
pub(super) const ADMIN: &str = "admin";

/// Returns the administrator as an actor.
pub(super) fn by_password() -> Actor {
    Actor::new(ADMIN)
}
