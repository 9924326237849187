//! The secret that an agent gave, by the place it goes to.

use std::rc::Rc;

use crate::secret::{Key, Secret, SecretError, ServiceSecret};

/// The place that the values of an agent go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Requests that go upstream.
    Upstream,
    /// Calls to other services. A value for these never goes upstream.
    Calls,
}

/// A secret, of the type that its purpose asks for.
#[derive(Clone)]
pub(crate) enum Given {
    Upstream(Rc<Key>),
    Calls(Rc<ServiceSecret>),
}

impl Given {
    pub(super) fn new(secret: Vec<u8>, purpose: Purpose) -> Result<Self, SecretError> {
        Ok(match purpose {
            Purpose::Upstream => Self::Upstream(Rc::new(Key::new(Secret::new(secret)?))),
            Purpose::Calls => Self::Calls(Rc::new(ServiceSecret::new(secret)?)),
        })
    }
}
