//! The sender of a request: a person or a program, with its role.

use std::sync::Arc;

use keyswap_core::syntax::is_email;

use super::operation::Operation;
use crate::registry::{Actor, AdminRole, Reach};

tokio::task_local! {
    /// The sender of the request that this task answers, for the head of pages.
    pub(super) static VIEWER: Arc<Person>;
}

/// The name in the audit log of the administrator with the password.
pub(super) const ADMIN: &str = "admin";

/// The means of a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server::admin) enum Means {
    /// The administrator's password.
    Password,
    /// A JWT of Cloudflare Access.
    Access,
    /// An `OpenID` provider.
    Provider,
    /// An API key.
    Key,
}

/// A person or a program that is signed in.
#[derive(Clone, Debug)]
pub(in crate::server::admin) struct Person {
    name: String,
    role: AdminRole,
    means: Means,
}

impl Person {
    pub(super) fn new(name: String, role: AdminRole, means: Means) -> Self {
        Self { name, role, means }
    }

    /// Returns the administrator with the password.
    pub(super) fn by_password() -> Self {
        Self::new(ADMIN.to_owned(), AdminRole::Admin, Means::Password)
    }

    /// Returns the name in the audit log.
    pub(in crate::server::admin) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the email address for which the person's sign-in vouches, `None` for the password, a program, and a person that a
    /// provider knows by another name.
    pub(in crate::server::admin) fn email(&self) -> Option<&str> {
        let is_vouched_for = matches!(self.means, Means::Access | Means::Provider);
        // The name of a person without a verified address begins so.
        let is_address = |name: &&str| !name.starts_with("subject:") && is_email(name);
        Some(self.name.as_str()).filter(|_| is_vouched_for).filter(is_address)
    }

    pub(in crate::server::admin) fn role(&self) -> &AdminRole {
        &self.role
    }

    pub(in crate::server::admin) fn means(&self) -> Means {
        self.means
    }

    /// Returns the part of the registry on which the person may carry out an operation, `None` if on no part.
    pub(super) fn reach(&self, operation: Operation) -> Option<Reach> {
        let is_open = self.means != Means::Key || !operation.is_for_people();
        operation.reach(&self.role).filter(|_| is_open)
    }

    /// Returns true if the person may carry out an operation on a part of the registry.
    pub(in crate::server::admin) fn may(&self, operation: Operation) -> bool {
        self.reach(operation).is_some()
    }

    pub(super) fn actor(&self, reach: Reach) -> Actor {
        Actor::within(&self.name, reach)
    }
}

/// Returns the sender of the request that this task answers, `None` outside of the gate.
pub(in crate::server::admin) fn viewer() -> Option<Arc<Person>> {
    VIEWER.try_with(Arc::clone).ok()
}
